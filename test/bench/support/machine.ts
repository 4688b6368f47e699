/** What every benchmark prints first: figures of one machine say little of another, so that each comes with what it was measured on. */

import { cpus, totalmem } from 'node:os'
import { measureFsync } from './fsync.ts'

/** @param folder - where the benchmark keeps its data: its disk is the one that counts */
export async function printMachine(folder: string): Promise<void> {
  const { p50Ms, p99Ms } = await measureFsync(folder)
  const processors = cpus()
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`
  console.log(
    `  ${processors.length} × ${processors[0]?.model ?? 'unknown processor'}, ${memory}, Node ${process.version}`
  )
  console.log(`  one small write and fdatasync: p50 ${p50Ms.toFixed(3)} ms, p99 ${p99Ms.toFixed(3)} ms`)
}
