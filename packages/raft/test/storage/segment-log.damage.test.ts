/**
 * Damages the files of a log in thousands of ways: what `load` answers is either what was written, or less with a fault, or
 * less by commits that the durable mark does not count; never something else (T52 to T54, T58).
 */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { LoadedLog, LogStorage } from '../../src/ports.ts'
import { openSegmentLog } from '../../src/storage/segment-log.ts'
import { CrashFileSystem } from './crash-file-system.ts'
import { after, carryOut, drawStep, emptyState, entriesAfter, type LogState, pictureOf } from './log-model.ts'
import { type Random, randomFrom } from './random.ts'

const noTimers = { after: () => () => {} }

const open = (fileSystem: CrashFileSystem, seedContext?: string): LogStorage =>
  openSegmentLog({
    folder: '/raft',
    fileSystem,
    clock: noTimers,
    segmentBytes: 900,
    ...(seedContext === undefined ? {} : { seedContext: Buffer.from(seedContext) })
  })

interface Written {
  readonly fileSystem: CrashFileSystem
  /** After each step. */
  readonly history: readonly LogState[]
  /** How many steps the durable mark counts. */
  readonly marked: number
}

/** A log after some steps; left open, as by a process that was killed, unless `closes`. */
async function write(seed: number, closes: boolean): Promise<Written> {
  const random = randomFrom(seed)
  const fileSystem = new CrashFileSystem()
  const log = open(fileSystem)
  await log.load()
  const history: LogState[] = [emptyState]
  let marked = 0
  for (let n = 0; n < 14; n++) {
    const step = drawStep(history.at(-1)!, random)
    await carryOut(log, step)
    // The hard state is written before what comes with it: the mark counts the steps before.
    if (step.type === 'persist' && step.hardState !== undefined) marked = history.length - 1
    if (step.type === 'reset') marked = history.length
    history.push(after(history.at(-1)!, step))
  }
  if (closes) await log.close()
  return { fileSystem, history, marked: closes ? history.length - 1 : marked }
}

function damage(fileSystem: CrashFileSystem, random: Random): string {
  const files = fileSystem.files()
  const path = files[random.below(files.length)]!
  let what = ''
  fileSystem.damage(path, (content) => {
    const at = random.below(Math.max(content.length, 1))
    const count = 1 + random.below(random.below(2) === 0 ? 16 : 4096)
    const kind = random.below(9)
    what = `${path}: kind ${kind} at ${at} of ${content.length}, ${count}`
    if (kind <= 3) content[at] = content[at]! ^ (1 << random.below(8))
    else if (kind === 4) content.fill(0, at, at + count)
    else if (kind === 5) content.set(random.bytes(Math.min(count, content.length - at)), at)
    else if (kind === 6) return content.slice(0, at)
    else if (kind === 7) return undefined
    else content.copyWithin(at, random.below(Math.max(content.length, 1)), content.length)
    return content
  })
  return what
}

const isLost = (error: unknown): boolean =>
  error instanceof Error && (error.name === 'HardStateLostError' || error.name === 'LogUnusableError')

/** The entries of some moment, from the base of the last: what a reader may be left with once the rest is gone. */
function isPartOfHistory(loaded: LoadedLog, history: readonly LogState[]): boolean {
  const chains = new Set(history.flatMap(({ entries }) => entries.map(({ index, chain }) => `${index} ${chain}`)))
  return loaded.entries.every(
    ({ index, chain }, n) => index === loaded.base.index + 1 + n && chains.has(`${index} ${chain}`)
  )
}

describe('segment log, damage', () => {
  it('answers what was written, or a fault, or drops commits that nothing counts', async () => {
    const outcomes = { same: 0, dropped: 0, faulty: 0, refused: 0 }
    for (let seed = 1; seed <= 100; seed++) {
      const { fileSystem, history, marked } = await write(seed, seed % 2 === 0)
      const last = history.at(-1)!
      // The hard state and the base have files of their own; only entries can be dropped.
      const tolerable = new Set(
        history.slice(marked).map((state) => {
          const entries = state.entries.filter(({ index }) => index > last.base.index)
          return pictureOf({ hardState: last.hardState, base: last.base, entries })
        })
      )
      for (let n = 0; n < 40; n++) {
        const damaged = fileSystem.copy()
        const what = damage(damaged, randomFrom(seed * 1000 + n))
        const context = `seed ${seed}, case ${n}: ${what}`
        let loaded: LoadedLog
        try {
          loaded = await open(damaged).load()
        } catch (error) {
          assert.ok(isLost(error), `${context}: ${String(error)}`)
          outcomes.refused += 1
          continue
        }
        assert.deepEqual(loaded.hardState, last.hardState, context)
        assert.deepEqual(loaded.base, last.base, context)
        assert.ok(isPartOfHistory(loaded, history), context)
        if (loaded.faults.length > 0) outcomes.faulty += 1
        else if (pictureOf(loaded) === pictureOf(last)) outcomes.same += 1
        else {
          assert.ok(tolerable.has(pictureOf(loaded)), `${context}: lost what was marked durable`)
          outcomes.dropped += 1
        }
      }
    }
    for (const [outcome, count] of Object.entries(outcomes))
      assert.ok(count > 20, `${outcome} came up only ${count} times`)
  })

  it('leaves a damaged log as it is, and answers the same again', async () => {
    let faulty = 0
    for (let seed = 1; seed <= 60; seed++) {
      const { fileSystem } = await write(seed, true)
      damage(fileSystem, randomFrom(seed))
      const first = open(fileSystem)
      try {
        const loaded = await first.load()
        if (loaded.faults.length === 0) continue
        faulty += 1
        await first.close()
        const again = await open(fileSystem).load()
        assert.equal(pictureOf(again), pictureOf(loaded))
        assert.deepEqual(again.faults, loaded.faults)
      } catch (error) {
        assert.ok(isLost(error), String(error))
      }
    }
    assert.ok(faulty > 5)
  })

  it('takes a last commit of which bytes are missing for a torn write only as long as no mark counts it', async () => {
    const state: LogState = emptyState
    for (const [marks, cuts] of [
      [false, true],
      [true, true],
      [false, false]
    ] as const) {
      const fileSystem = new CrashFileSystem()
      const due: (() => void)[] = []
      const clock = {
        after(_delayMs: number, callback: () => void): () => void {
          due.push(callback)
          return () => {}
        }
      }
      const log = openSegmentLog({ folder: '/raft', fileSystem, clock })
      await log.load()
      const entries = entriesAfter(state, 0, 1, [Buffer.from('one'), Buffer.from('two')])
      await log.persist({ hardState: undefined, truncateFrom: undefined, entries: entries.slice(0, 1) })
      await log.persist({ hardState: undefined, truncateFrom: undefined, entries: entries.slice(1) })
      if (marks) {
        for (const callback of due) callback()
        // Every operation in memory is done within a few turns of the event loop.
        for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
      }
      const segment = fileSystem.files().find((path) => path.endsWith('.seg'))!
      fileSystem.damage(segment, (content) => {
        content[content.length - 1]! ^= 1
        return cuts ? content.slice(0, -1) : content
      })
      const loaded = await open(fileSystem).load()
      assert.equal(loaded.entries.length, 1)
      // A wrong byte where all are there is no torn write.
      assert.equal(loaded.faults.length, marks || !cuts ? 1 : 0)
      if (marks || !cuts) assert.equal(loaded.faults[0]!.fromIndex, 2)
    }
  })

  it('reports a fault for damage to any commit but the last, without any mark', async () => {
    const fileSystem = new CrashFileSystem()
    const log = open(fileSystem)
    await log.load()
    const entries = entriesAfter(emptyState, 0, 1, [Buffer.from('one'), Buffer.from('two'), Buffer.from('three')])
    for (const entry of entries) await log.persist({ hardState: undefined, truncateFrom: undefined, entries: [entry] })
    const segment = fileSystem.files().find((path) => path.endsWith('.seg'))!
    const size = (await fileSystem.size(segment))!
    const lastFrame = size - 40 - entries[2]!.record.length
    for (let at = 64; at < lastFrame; at++) {
      const damaged = fileSystem.copy()
      damaged.damage(segment, (content) => {
        content[at]! ^= 0x10
        return content
      })
      const loaded = await open(damaged).load()
      assert.equal(loaded.faults.length, 1, `byte ${at}`)
      assert.ok(loaded.entries.length < 2)
    }
  })

  it('keeps the vote when either slot is damaged, and says that it is lost when both are', async () => {
    const fileSystem = new CrashFileSystem()
    const log = open(fileSystem)
    await log.load()
    for (const term of [1, 2, 3])
      await log.persist({ hardState: { term, votedFor: `n${term}` }, truncateFrom: undefined, entries: [] })
    for (const slot of [0, 1]) {
      const damaged = fileSystem.copy()
      damaged.damage('/raft/hard-state', (content) => {
        content[slot * 4096 + 70]! ^= 1
        return content
      })
      assert.deepEqual((await open(damaged).load()).hardState, { term: 3, votedFor: 'n3' })
      damaged.damage('/raft/hard-state', (content) => content.fill(7, 0, 8192))
      await assert.rejects(open(damaged).load(), { name: 'HardStateLostError' })
    }
  })

  it('keeps the vote when a slot is damaged and the power goes while the next start repairs it', async () => {
    const fileSystem = new CrashFileSystem()
    const log = open(fileSystem)
    await log.load()
    await log.persist({ hardState: { term: 3, votedFor: 'n3' }, truncateFrom: undefined, entries: [] })
    for (const slot of [0, 1]) {
      for (let cutAt = 1; cutAt < 8; cutAt++) {
        for (let outcome = 0; outcome < 10; outcome++) {
          const damaged = fileSystem.copy()
          damaged.damage('/raft/hard-state', (content) => {
            content[slot * 4096 + 70]! ^= 1
            return content
          })
          damaged.cutAt = cutAt
          await open(damaged)
            .load()
            .catch((error: unknown) => assert.equal((error as Error).name, 'StorageFailedError'))
          const { hardState } = await open(damaged.image(outcome)).load()
          assert.deepEqual(hardState, { term: 3, votedFor: 'n3' })
        }
      }
    }
  })

  it('reports a fault for an entry that is sound by itself, and not the one that was written', async () => {
    const fileSystem = new CrashFileSystem()
    const log = open(fileSystem)
    await log.load()
    const [written] = entriesAfter(emptyState, 0, 1, [Buffer.from('this')])
    const [other] = entriesAfter(emptyState, 0, 1, [Buffer.from('that')])
    await log.persist({ hardState: undefined, truncateFrom: undefined, entries: [written!] })
    await log.close()
    const segment = fileSystem.files().find((path) => path.endsWith('.seg'))!
    fileSystem.damage(segment, (content) => {
      content.set(other!.record, content.length - other!.record.length)
      return content
    })
    const loaded = await open(fileSystem).load()
    assert.equal(loaded.faults.length, 1)
    assert.deepEqual(loaded.entries, [])
  })

  it('reports a fault for a damaged header before commits that no mark counts', async () => {
    const fileSystem = new CrashFileSystem()
    const log = open(fileSystem)
    await log.load()
    const entries = entriesAfter(emptyState, 0, 1, [Buffer.from('one'), Buffer.from('two')])
    for (const entry of entries) await log.persist({ hardState: undefined, truncateFrom: undefined, entries: [entry] })
    fileSystem.damage(fileSystem.files().find((path) => path.endsWith('.seg'))!, (content) => {
      content[30]! ^= 1
      return content
    })
    assert.equal((await open(fileSystem).load()).faults.length, 1)
  })

  it('reports a fault when the marked commit is another one of the same number', async () => {
    const [one, two] = await Promise.all(
      ['one', 'two'].map(async (payload) => {
        const fileSystem = new CrashFileSystem()
        const log = open(fileSystem)
        await log.load()
        const entries = entriesAfter(emptyState, 0, 1, [Buffer.from(payload)])
        await log.persist({ hardState: undefined, truncateFrom: undefined, entries })
        await log.close()
        return fileSystem
      })
    )
    const segment = (await two!.readFile(two!.files().find((path) => path.endsWith('.seg'))!))!
    one!.damage(one!.files().find((path) => path.endsWith('.seg'))!, () => segment)
    assert.equal((await open(one!).load()).faults.length, 1)
  })

  it('refuses the files of another node', async () => {
    const fileSystem = new CrashFileSystem()
    const log = open(fileSystem, 'node a, incarnation 1')
    await log.load()
    await log.persist({ hardState: { term: 1, votedFor: 'a' }, truncateFrom: undefined, entries: [] })
    await log.close()
    await assert.rejects(open(fileSystem, 'node a, incarnation 2').load(), { name: 'HardStateLostError' })
    assert.equal((await open(fileSystem, 'node a, incarnation 1').load()).hardState.term, 1)
  })

  it('takes no entries after faults, but the vote, and a reset that replaces the log', async () => {
    const { fileSystem, history } = await write(4, true)
    const { entries } = history.at(-1)!
    const segment = fileSystem.files().find((path) => path.endsWith('.seg'))!
    fileSystem.damage(segment, (content) => content.slice(0, 70))
    const log = open(fileSystem)
    assert.equal((await log.load()).faults.length, 1)
    await assert.rejects(log.persist({ hardState: undefined, truncateFrom: undefined, entries }), {
      name: 'LogUnusableError',
      code: 'log-faulty'
    })
    await log.persist({ hardState: { term: 100, votedFor: 'z' }, truncateFrom: undefined, entries: [] })
    const base = { index: 50, term: 99, chain: 7, config: { voters: ['a'], outgoing: [], learners: [] } }
    await log.reset(base)
    const reset: LogState = { hardState: { term: 100, votedFor: 'z' }, base, entries: [] }
    const more = entriesAfter(reset, 50, 100, [Buffer.from('after')])
    await log.persist({ hardState: undefined, truncateFrom: undefined, entries: more })
    await log.close()
    const loaded = await open(fileSystem).load()
    assert.deepEqual(loaded.faults, [])
    assert.equal(pictureOf(loaded), pictureOf({ ...reset, entries: more }))
  })
})
