/**
 * Durable commits per second of the log on this machine's disk, one after the other, at several sizes of a batch. Run it by
 * `node --conditions=quorate-source segment-log.bench.ts [folder]`, with a folder on the disk in question.
 */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { openSegmentLog } from '../../src/storage/segment-log.ts'
import { emptyState, entriesAfter } from './log-model.ts'

const PAYLOAD_BYTES = 256
const SECONDS = 2

const parent = process.argv[2] ?? tmpdir()
for (const batch of [1, 10, 100, 1000]) {
  const folder = await mkdtemp(join(parent, 'quorate-bench-'))
  const log = openSegmentLog({ folder })
  await log.load()
  let state = emptyState
  let entryCount = 0
  const times: number[] = []
  const payloads = Array.from({ length: batch }, () => new Uint8Array(PAYLOAD_BYTES).fill(batch))
  for (const start = performance.now(); performance.now() - start < SECONDS * 1000; ) {
    const entries = entriesAfter(state, state.base.index, 1, payloads)
    const last = entries.at(-1)!
    const before = performance.now()
    await log.persist({ hardState: undefined, truncateFrom: undefined, entries })
    times.push(performance.now() - before)
    state = { ...state, base: { ...state.base, index: last.index, term: last.term, chain: last.chain } }
    entryCount += batch
  }
  await log.close()
  const loadStart = performance.now()
  const reader = openSegmentLog({ folder })
  const loaded = await reader.load()
  const loadMs = performance.now() - loadStart
  await reader.close()
  if (loaded.entries.length !== entryCount)
    throw new Error(`${loaded.entries.length} of ${entryCount} entries came back`)
  times.sort((a, b) => a - b)
  const total = times.reduce((sum, ms) => sum + ms, 0)
  const at = (share: number): string => times[Math.floor(times.length * share)]!.toFixed(2)
  console.log(
    `batch ${String(batch).padStart(4)}: ${Math.round((times.length / total) * 1000)} commits/s, ` +
      `${Math.round((entryCount / total) * 1000)} entries/s, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms; ` +
      `${entryCount} entries loaded in ${loadMs.toFixed(0)} ms`
  )
  await rm(folder, { recursive: true, force: true })
}
