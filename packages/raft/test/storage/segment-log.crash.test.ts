/**
 * Stops the machine at every operation of many workloads, loses what was not synced, and loads again: all that was acknowledged
 * is there, the step under way happened whole or not at all, and a crash is never taken for damage (T3, T17, T42, T54).
 */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { LogStorage } from '../../src/ports.ts'
import { openSegmentLog } from '../../src/storage/segment-log.ts'
import { CrashFileSystem } from './crash-file-system.ts'
import { after, carryOut, drawStep, during, emptyState, type LogState, pictureOf, type Step } from './log-model.ts'
import { type Random, randomFrom } from './random.ts'

/** Timers that fire when the test says so. */
class HeldTimers {
  #due: (() => void)[] = []
  after(_delayMs: number, callback: () => void): () => void {
    this.#due.push(callback)
    return () => {
      this.#due = this.#due.filter((one) => one !== callback)
    }
  }
  fire(): void {
    const due = this.#due
    this.#due = []
    for (const callback of due) callback()
  }
}

interface Life {
  /** The states that may be found on disk afterwards. */
  readonly possible: readonly LogState[]
  readonly cut: boolean
}

const open = (fileSystem: CrashFileSystem, clock: HeldTimers, segmentBytes: number): LogStorage =>
  openSegmentLog({ folder: '/node/raft', fileSystem, clock, segmentBytes })

/** One run of a process: loads, takes up to `steps` steps, and is cut off or closes. */
async function live(
  fileSystem: CrashFileSystem,
  before: readonly LogState[],
  random: Random,
  steps: number,
  closes: boolean
): Promise<Life> {
  const clock = new HeldTimers()
  const log = open(fileSystem, clock, 300 + random.below(2000))
  let possible = before
  try {
    const loaded = await log.load()
    assert.deepEqual(loaded.faults, [], 'a crash was taken for damage')
    const found = before.find((state) => pictureOf(state) === pictureOf(loaded))
    assert.ok(found, `the log is none of the ${before.length} that may be: ${pictureOf(loaded)}`)
    possible = [found]
    for (let n = 0; n < steps; n++) {
      const state = possible[0]!
      const step: Step = drawStep(state, random)
      possible = during(state, step)
      // A mark is written beside the step.
      if (random.below(3) === 0) clock.fire()
      await carryOut(log, step)
      possible = [after(state, step)]
    }
    if (closes) await log.close()
    return { possible, cut: false }
  } catch (error) {
    if (!isPowerCut(error)) throw error
    return { possible, cut: true }
  }
}

const isPowerCut = (error: unknown): boolean =>
  error instanceof Error && (error.name === 'PowerCut' || isPowerCut(error.cause))

describe('segment log, power cuts', () => {
  it('keeps what was acknowledged, whole, wherever the power goes', async () => {
    let cuts = 0
    for (let seed = 1; seed <= 12; seed++) {
      for (let cutAt = 1; ; cutAt++) {
        const fileSystem = new CrashFileSystem()
        fileSystem.cutAt = cutAt
        const life = await live(fileSystem, [emptyState], randomFrom(seed), 12, true)
        if (!life.cut) break
        cuts += 1
        for (let outcome = 1; outcome <= 3; outcome++) {
          await live(fileSystem.image(seed * 1000 + outcome), life.possible, randomFrom(outcome), 3, true)
        }
      }
    }
    assert.ok(cuts > 500, `only ${cuts} cuts`)
  })

  it('keeps it over many lives, each cut off anywhere, recovery included', async () => {
    for (let seed = 1; seed <= 150; seed++) {
      const random = randomFrom(seed)
      let fileSystem = new CrashFileSystem()
      let possible: readonly LogState[] = [emptyState]
      for (let round = 0; round < 12; round++) {
        fileSystem.cutAt =
          random.below(8) === 0 ? Number.POSITIVE_INFINITY : 1 + random.below(random.below(2) === 0 ? 10 : 60)
        const life = await live(fileSystem, possible, random, 15, random.below(2) === 0).catch((error: unknown) => {
          throw new Error(`seed ${seed}, life ${round}`, { cause: error })
        })
        possible = life.possible
        fileSystem = random.below(4) === 0 ? fileSystem.copy() : fileSystem.image(random.below(2 ** 32))
      }
    }
  })

  it('refuses everything after a failed write or sync, and loses nothing acknowledged before it', async () => {
    for (let seed = 1; seed <= 8; seed++) {
      for (let failAt = 1; ; failAt++) {
        const fileSystem = new CrashFileSystem()
        const log = open(fileSystem, new HeldTimers(), 600)
        const random = randomFrom(seed)
        let state = emptyState
        let possible: readonly LogState[] = [state]
        let failed = false
        await log.load()
        fileSystem.failAt = fileSystem.operations + failAt
        for (let n = 0; n < 8 && !failed; n++) {
          const step = drawStep(state, random)
          possible = during(state, step)
          try {
            await carryOut(log, step)
            state = after(state, step)
            possible = [state]
          } catch (error) {
            assert.equal((error as Error).name, 'StorageFailedError')
            failed = true
          }
        }
        if (!failed) break
        await assert.rejects(
          log.persist({ hardState: { term: 99, votedFor: 'x' }, truncateFrom: undefined, entries: [] }),
          {
            name: 'StorageFailedError'
          }
        )
        await log.close()
        // The process restarts and reads its page cache; then the power goes.
        const next = await live(fileSystem, possible, random, 0, false)
        await live(fileSystem.image(failAt), next.possible, random, 2, true)
      }
    }
  })
})
