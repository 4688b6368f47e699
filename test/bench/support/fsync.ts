/** What it costs to make a few bytes durable in a folder: the floor under every figure of a consensus log. */

import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { median, quantile } from './statistics.ts'

const WRITES = 500
const BYTES = 256

export async function measureFsync(folder: string): Promise<{ readonly p50Ms: number; readonly p99Ms: number }> {
  const file = await open(join(folder, 'fsync'), 'w')
  try {
    const times: number[] = []
    for (let i = 0; i < WRITES; i++) {
      const startMs = performance.now()
      await file.write(Buffer.alloc(BYTES, i))
      await file.datasync()
      times.push(performance.now() - startMs)
    }
    return { p50Ms: median(times), p99Ms: quantile(times, 0.99) }
  } finally {
    await file.close()
  }
}
