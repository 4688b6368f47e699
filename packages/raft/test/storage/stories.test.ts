/**
 * The traps of the disk, each told as a text in `stories/`: what is written and synced in which order, and what the next start finds if the power goes
 * anywhere on the way. The facts that decide are asserted here; after a change that is meant to be one, rewrite the texts with `UPDATE_TRANSCRIPTS=1` and read
 * the difference.
 */

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import type { Entry } from '../../src/core/types.ts'
import { openSnapshotStore } from '../../src/storage/snapshot-files.ts'
import type { CrashFileSystem } from './crash-file-system.ts'
import { emptyState, entriesAfter } from './log-model.ts'
import { readAll, snapshotBase, writeAll } from './snapshot-store-suite.ts'
import { baseOf, batch, describeLog, Story } from './story.ts'

const bytes = (text: string): Uint8Array => Buffer.from(text)

/** Entries of one term from index 1 on, a letter each. */
const written = (term: number, letters: string): Entry[] => entriesAfter(emptyState, 0, term, [...letters].map(bytes))

/** Entries that follow the first `count` of others. */
const following = (entries: readonly Entry[], count: number, term: number, letters: string): Entry[] =>
  entriesAfter({ ...emptyState, entries }, count, term, [...letters].map(bytes))

function compare(name: string, story: Story): void {
  const file = new URL(`./stories/${name}.txt`, import.meta.url)
  if (process.env.UPDATE_TRANSCRIPTS === '1') writeFileSync(file, story.text)
  else assert.equal(story.text, readFileSync(file, 'utf8'))
}

/** A log with some entries in it, closed; the story goes on with its disk. */
async function logWith(story: Story, entries: readonly Entry[]): Promise<void> {
  const log = story.openLog(story.fileSystem)
  await log.load()
  await log.persist(batch(entries, { term: entries.at(-1)?.term ?? 1, votedFor: 'a' }))
  await log.close()
}

describe('stories of the disk', () => {
  it('T7: what was acknowledged is synced', async () => {
    const story = new Story(
      'T7: an answer comes after the sync, so that no loss of power takes back what was acknowledged.'
    )
    const [a, b] = [written(1, 'a'), following(written(1, 'a'), 1, 1, 'b')]
    await logWith(story, a)
    const before = story.fileSystem.copy()
    const log = story.openLog()
    await log.load()
    await story.act('write 2/1:b', () => log.persist(batch(b)))
    const again = async (disk: CrashFileSystem): Promise<void> => {
      const other = story.openLog(disk)
      await other.load()
      await other.persist(batch(b))
    }
    const { acknowledged } = await story.cutAnywhere(before, again, (disk) => story.lookAtLog(disk))
    assert.deepEqual([...acknowledged], ['term 1 vote a, after 0: 1/1:a 2/1:b'])
    compare('t07-acknowledged-is-synced', story)
  })

  it('T17: a cut and what takes its place are one write', async () => {
    const story = new Story(
      'T17: a cut and what takes its place are one write. No start finds a part of it, or the old tail behind it.'
    )
    const old = written(1, 'pqr')
    const next = following(old, 1, 2, 'x')
    await logWith(story, old)
    const first = story.openLog(story.fileSystem)
    await first.load()
    await first.persist(batch([], { term: 2, votedFor: 'c' }))
    await first.close()
    const before = story.fileSystem.copy()
    const log = story.openLog()
    await log.load()
    const step = batch(next, undefined, 2)
    await story.act('cut from 2, write 2/2:x', () => log.persist(step))
    const again = async (disk: CrashFileSystem): Promise<void> => {
      const other = story.openLog(disk)
      await other.load()
      await other.persist(step)
    }
    const { underway, acknowledged } = await story.cutAnywhere(before, again, (disk) => story.lookAtLog(disk))
    const [whole, nothing] = ['term 2 vote c, after 0: 1/1:p 2/2:x', 'term 2 vote c, after 0: 1/1:p 2/1:q 3/1:r']
    assert.deepEqual([...acknowledged], [whole])
    assert.deepEqual(
      [...underway].filter((found) => found !== whole && found !== nothing),
      []
    )
    compare('t17-cut-and-append-are-one-write', story)
  })

  it('T39, T40, T41: a snapshot is there whole or not at all, and the newest stays', async () => {
    const story = new Story(
      'T39, T40, T41: a snapshot is synced under another name before it gets its own, and one that is older stays until then.'
    )
    const store = (disk: Parameters<typeof openSnapshotStore>[0]['fileSystem']) =>
      openSnapshotStore({
        folder: '/node/raft',
        newId: () => 'id',
        ...(disk === undefined ? {} : { fileSystem: disk })
      })
    await writeAll(await store(story.fileSystem).create(snapshotBase(10)), [bytes('ten')])
    const before = story.fileSystem.copy()
    const telling = store(story.telling())
    await story.act('make a snapshot at 20, and remove what is older', async () => {
      await writeAll(await telling.create(snapshotBase(20)), [bytes('twenty'), bytes('more')])
      await telling.prune()
    })
    const again = async (disk: CrashFileSystem): Promise<void> => {
      await writeAll(await store(disk).create(snapshotBase(20)), [bytes('twenty'), bytes('more')])
      await store(disk).prune()
    }
    const look = async (disk: CrashFileSystem): Promise<string> => {
      const latest = await store(disk).latest()
      if (latest === undefined) return 'none'
      return `${latest.base.index} with ${Buffer.concat(await readAll(store(disk), latest)).toString()}`
    }
    const { underway, acknowledged } = await story.cutAnywhere(before, again, look)
    assert.deepEqual([...acknowledged], ['20 with twentymore'])
    assert.deepEqual([...underway].sort(), ['10 with ten', '20 with twentymore'])
    story.remark('The newest is that of the highest index, though one at 15 is finished after it.')
    await writeAll(await store(story.fileSystem).create(snapshotBase(15)), [bytes('fifteen')])
    assert.equal((await store(story.fileSystem).latest())?.base.index, 20)
    await store(story.fileSystem).prune()
    assert.deepEqual((await story.fileSystem.list('/node/raft/snapshots'))?.length, 1)
    compare('t41-snapshot-whole-or-not', story)
  })

  it('T42: a log is replaced by a snapshot in one step', async () => {
    const story = new Story(
      'T42: a log that is reset to a snapshot at 9 is empty after it, or as it was: never a part of the old one beside the new base.'
    )
    await logWith(story, written(1, 'pqr'))
    const before = story.fileSystem.copy()
    const log = story.openLog()
    await log.load()
    const [last] = following(written(1, 'abcdefgh'), 8, 3, 'i')
    assert.ok(last !== undefined)
    const base = baseOf(last)
    await story.act('reset the log to 9/3', () => log.reset(base))
    const again = async (disk: CrashFileSystem): Promise<void> => {
      const other = story.openLog(disk)
      await other.load()
      await other.reset(base)
    }
    const { underway, acknowledged } = await story.cutAnywhere(before, again, (disk) => story.lookAtLog(disk))
    const [whole, nothing] = ['term 1 vote a, after 9: nothing', 'term 1 vote a, after 0: 1/1:p 2/1:q 3/1:r']
    assert.deepEqual([...acknowledged], [whole])
    assert.deepEqual(
      [...underway].filter((found) => found !== whole && found !== nothing),
      []
    )
    compare('t42-reset-is-one-step', story)
  })

  it('T51: after a failed write nothing is taken any more', async () => {
    const story = new Story(
      'T51: a write fails once, and what it wrote may be in the cache of the system alone. No later one succeeds on top of it.'
    )
    const a = written(1, 'a')
    await logWith(story, a)
    const log = story.openLog()
    await log.load()
    story.fileSystem.failAt = story.fileSystem.operations + 1
    const b = following(a, 1, 1, 'b')
    await story.act('write 2/1:b', () => log.persist(batch(b)))
    await story.act('write 2/1:b again', () => log.persist(batch(b)))
    await story.act('write term 2', () => log.persist(batch([], { term: 2, votedFor: undefined })))
    await log.close().catch(() => {})
    const found = new Set<string>()
    for (let outcome = 0; outcome < 24; outcome++) found.add(await story.lookAtLog(story.fileSystem.image(outcome)))
    story.remark(`After the power went, the next start finds: ${[...found].sort().join(', or ')}`)
    assert.equal(story.lines.filter((line) => line === '  refused: StorageFailedError').length, 3)
    for (const one of found) assert.match(one, /^term 1 vote a, after 0: 1\/1:a( 2\/1:b)?$/)
    compare('t51-first-failure-is-the-last', story)
  })

  it('T52, T54: damage of what was durable is a fault, never an end', async () => {
    const story = new Story(
      'T52, T54: a byte of each third of the log is flipped. What was durable is never taken for what was not written.'
    )
    const entries = written(1, 'abcdef')
    const log = story.openLog(story.fileSystem)
    await log.load()
    for (const entry of entries) await log.persist(batch([entry], { term: 1, votedFor: 'a' }))
    await log.close()
    const name = story.fileSystem.files().find((path) => path.endsWith('.seg'))
    assert.ok(name !== undefined)
    const size = (await story.fileSystem.size(name)) ?? 0
    for (const [i, at] of [100, size >> 1, size - 10].entries()) {
      const disk = story.fileSystem.copy()
      disk.damage(name, (content) => {
        content[at]! ^= 1
        return content
      })
      const found = await story.lookAtLog(disk)
      story.lines.push(`> flip a byte in part ${i + 1} of 3`, `  ${found}`)
      assert.match(found, /and a fault$/)
    }
    const whole = story.fileSystem.copy()
    story.lines.push('> leave it as it is', `  ${await story.lookAtLog(whole)}`)
    assert.ok((await story.lookAtLog(story.fileSystem.copy())).endsWith(describeLog(entries)))
    compare('t52-damage-is-a-fault', story)
  })

  it('T53: term and vote stand twice', async () => {
    const story = new Story('T53: either copy of term and vote may be lost, but not both.')
    await logWith(story, written(1, 'a'))
    const log = story.openLog(story.fileSystem)
    await log.load()
    await log.persist(batch([], { term: 5, votedFor: 'c' }))
    await log.close()
    const name = story.fileSystem.files().find((path) => path.endsWith('hard-state'))
    assert.ok(name !== undefined)
    const size = (await story.fileSystem.size(name)) ?? 0
    const spoil = (disk: CrashFileSystem, from: number): void =>
      disk.damage(name, (content) => content.fill(0x55, from, from + size / 2))
    for (const slots of [[0], [1], [0, 1]]) {
      const disk = story.fileSystem.copy()
      for (const slot of slots) spoil(disk, (slot * size) / 2)
      story.lines.push(`> spoil copy ${slots.map((slot) => slot + 1).join(' and copy ')}`)
      const found = await story.lookAtLog(disk)
      story.lines.push(`  ${found}`)
      if (slots.length === 1) assert.match(found, /^term 5 vote c,/)
      else assert.doesNotMatch(found, /^term \d+ vote \w+, after 0: 1\/1:a$/)
    }
    compare('t53-vote-stands-twice', story)
  })

  it('T57: a log is compacted by removing whole files', async () => {
    const story = new Story(
      'T57: a log that shrinks removes files that are of no use any more, and rewrites none.',
      256
    )
    const entries = written(1, 'abcdefghijkl')
    const log = story.openLog(story.fileSystem)
    await log.load()
    for (const entry of entries) await log.persist(batch([entry], { term: 1, votedFor: 'a' }))
    await log.close()
    const files = story.fileSystem.files().filter((path) => path.endsWith('.seg'))
    assert.ok(files.length > 3)
    const again = story.openLog()
    await again.load()
    const ninth = entries[8]
    assert.ok(ninth !== undefined)
    await story.act('compact the log to 9', () => again.compact(baseOf(ninth)))
    await again.close()
    const rewritten = story.lines.filter((line) => /(writes|cuts) .*\.seg/.test(line))
    assert.deepEqual(rewritten, [])
    assert.ok(story.lines.some((line) => /removes .*\.seg/.test(line)))
    compare('t57-compaction-removes-files', story)
  })

  it('T58: the files of another node do not pass', async () => {
    const story = new Story('T58: a segment of another folder, sound in itself, is put in the place of this one’s.')
    await logWith(story, written(1, 'abc'))
    const other = new Story('', undefined, 'b')
    const log = other.openLog(other.fileSystem)
    await log.load()
    await log.persist(batch(written(4, 'xyz'), { term: 4, votedFor: 'z' }))
    await log.close()
    const segment = (disk: CrashFileSystem): string => disk.files().find((path) => path.endsWith('.seg')) ?? ''
    const foreign = await other.fileSystem.readFile(segment(other.fileSystem))
    story.fileSystem.damage(segment(story.fileSystem), () => foreign)
    const found = await story.lookAtLog(story.fileSystem)
    story.lines.push('> put the other segment there', `  ${found}`)
    assert.doesNotMatch(found, /:x/)
    assert.match(found, /fault|Error/)
    compare('t58-foreign-files', story)
  })
})
