/** Flight records: what they hold, within which bounds, and that what they hold can be run again. */

import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { decodeFlightRecord, encodeFlightRecord, FlightRecordError } from '../../src/driver/flight-record.ts'
import { type FlightLimits, type FlightRecord, FlightRecorder } from '../../src/driver/recorder.ts'
import { replayFlightRecord } from '../../src/sim/replay.ts'
import { checksum } from '../../src/storage/checksum.ts'
import { openFlightRecordFiles } from '../../src/storage/flight-record-files.ts'
import { RandomGroup } from '../core/random-group.ts'
import { Group } from '../support/group.ts'
import { until } from '../support/until.ts'

const bytesOf = (record: FlightRecord): Buffer => Buffer.concat([...encodeFlightRecord(record)])
const roomy: FlightLimits = { spanMs: Number.POSITIVE_INFINITY, numbers: 1e6, bytes: 1e9 }

/** Drives cores at random, each under its recorder. */
function record(seed: number, acts: number, limits: FlightLimits): { records: FlightRecord[]; inputs: number[] } {
  const group = new RandomGroup(seed)
  const recorders = new Map(group.nodes.map(({ id, core }) => [id, new FlightRecorder(core, 0, limits)]))
  const inputs = new Map(group.nodes.map(({ id }) => [id, 0]))
  group.onStep = (id, input, nowMs, _core, step) => {
    inputs.set(id, inputs.get(id)! + 1)
    // As in a turn of the driver, in which other steps have had their effects before.
    const effects = [{ type: 'alarm', code: 'x', detail: 'of another step' } as const, ...step()]
    recorders.get(id)!.note(input, nowMs, effects, 1)
  }
  for (let i = 0; i < acts; i++) group.act()
  return {
    records: [...recorders.values()].map((recorder) => recorder.record('a test')!),
    inputs: [...inputs.values()]
  }
}

describe('a flight record', () => {
  it('of any length runs again, step by step the same, through its bytes', async () => {
    const limits = fc.record({
      spanMs: fc.integer({ min: 1, max: 5000 }),
      numbers: fc.integer({ min: 1, max: 10_000 }),
      bytes: fc.integer({ min: 1, max: 5000 })
    })
    const property = fc.asyncProperty(
      fc.nat(),
      fc.integer({ min: 1, max: 2500 }),
      limits,
      async (seed, acts, limit) => {
        for (const made of record(seed, acts, limit).records) {
          const { differsAt, steps, halted, reason } = await replayFlightRecord(bytesOf(made))
          const recorded = made.generations.reduce((sum, { inputs }) => sum + inputs.length, 0)
          assert.deepEqual(
            { differsAt, steps, halted, reason },
            {
              differsAt: undefined,
              steps: recorded,
              halted: undefined,
              reason: 'a test'
            }
          )
        }
      }
    )
    await fc.assert(property, { numRuns: 30, seed: 1 })
  })

  it('holds everything until a generation is full, and then the last one and the one under way', () => {
    const { records, inputs } = record(3, 500, roomy)
    assert.deepEqual(
      records.map(({ generations }) => generations.map((generation) => generation.inputs.length)),
      inputs.map((count) => [count])
    )

    const few = record(3, 4000, { ...roomy, numbers: 4096 })
    for (const [at, { generations }] of few.records.slice(0, 3).entries()) {
      const counts = generations.map((generation) => generation.inputs.length)
      assert.equal(counts.length, 2)
      assert.ok(counts[0]! >= 4096 / 12 - 1 && counts[0]! <= 4096 / 3, `the full one has ${counts[0]} inputs`)
      assert.ok(counts[0]! + counts[1]! <= few.inputs[at]!)
    }
    for (const { generations } of record(3, 500, { ...roomy, spanMs: 100 }).records) {
      const [older, newer] = generations
      assert.ok(older!.timesMs.at(-1)! - older!.timesMs[0]! <= 200 && newer!.inputs.length < 100)
    }
    const heavy = record(3, 500, { ...roomy, bytes: 100 }).records
    assert.ok(heavy.some(({ generations }) => generations.length === 2))
  })

  it('counts what small entries and payloads take in memory, which is more than their bytes', () => {
    const { core } = new RandomGroup(9).nodes[0]!
    const recorder = new FlightRecorder(core, 0, { ...roomy, bytes: 100_000 })
    const payloads = Array.from({ length: 20 }, () => Buffer.of(1))
    for (let ticket = 0; ticket < 100; ticket++) recorder.note({ type: 'propose', ticket, payloads }, ticket, [], 0)
    const [older, newer] = recorder.record('a test')!.generations
    for (const { inputs } of [older!, newer!]) {
      assert.ok(inputs.length * payloads.length <= 400, `${inputs.length} inputs of 20 payloads`)
    }
  })

  it('counts the configurations that come with snapshots, which a peer can name as often as it likes', () => {
    const { core } = new RandomGroup(9).nodes[0]!
    const recorder = new FlightRecorder(core, 0, { ...roomy, bytes: 100_000 })
    const voters = Array.from({ length: 100 }, (_, n) => `n${n}`)
    const base = { index: 1, term: 1, chain: 0, config: { voters, outgoing: [], learners: [] } }
    for (let n = 0; n < 100; n++) {
      const message = { type: 'install-snapshot-request', term: 1, base: { ...base }, readPosition: 0 } as const
      recorder.note({ type: 'receive', from: 'b', message }, n, [], 0)
    }
    for (const { inputs } of recorder.record('a test')!.generations) {
      assert.ok(inputs.length <= 2, `${inputs.length} inputs of ${voters.length} names`)
    }
  })

  it('does not change with what is noted after it was taken', () => {
    const group = new RandomGroup(9)
    const recorder = new FlightRecorder(group.nodes[0]!.core, 0, roomy)
    const record = recorder.record('early')!
    recorder.note({ type: 'tick' }, 1, [], 0)
    assert.equal(record.generations[0]!.inputs.length, 0)
  })

  it('tells the first step at which a core does something else, or the state at which it begins', async () => {
    const [made] = record(4, 3000, { ...roomy, numbers: 4096 }).records as [FlightRecord]
    const [older, newer] = made.generations as [FlightRecord['generations'][0], FlightRecord['generations'][0]]
    const digests = newer.digests.map((digest, at) => (at === 6 ? digest ^ 1 : digest))
    const wrongEffects = await replayFlightRecord(bytesOf({ ...made, generations: [older, { ...newer, digests }] }))
    assert.equal(wrongEffects.differsAt, older.inputs.length + 7)
    assert.match(wrongEffects.transcript.at(-1)!, /\S/)
    const fields = { ...newer.checkpoint.fields, leaderContactMs: 1e9 }
    const wrongState = { ...newer, checkpoint: { ...newer.checkpoint, fields } }
    const report = await replayFlightRecord(bytesOf({ ...made, generations: [older, wrongState] }))
    assert.equal(report.differsAt, older.inputs.length)
    const input = { type: 'tick' } as const
    const wrongInput = {
      ...older,
      inputs: older.inputs.map((own, at) => (own.type === 'receive' && at > 50 ? input : own))
    }
    assert.ok((await replayFlightRecord(bytesOf({ ...made, generations: [wrongInput, newer] }))).differsAt! > 50)
  })

  it('that is damaged, cut off or something else is refused', () => {
    const bytes = bytesOf(record(2, 30, roomy).records[0]!)
    assert.throws(() => decodeFlightRecord(Buffer.from('hello')), FlightRecordError)
    for (let at = 0; at < bytes.length; at += 97) {
      assert.throws(() => decodeFlightRecord(bytes.subarray(0, at)), FlightRecordError, `cut off at ${at}`)
      const flipped = Buffer.from(bytes)
      flipped[at]! ^= 4
      assert.throws(() => decodeFlightRecord(flipped), FlightRecordError, `changed at ${at}`)
    }
    assert.throws(() => decodeFlightRecord(Buffer.concat([bytes, Buffer.of(0)])), FlightRecordError)
  })

  it('that a newer version of ours or of Node wrote is refused, and says so', () => {
    const refused = (bytes: Uint8Array, message: RegExp): void =>
      assert.throws(() => decodeFlightRecord(bytes), { name: 'FlightRecordError', message })
    refused(Buffer.from('quorate flight record 12\n'), /of version 12, and versions up to 1 are known here/)
    const bytes = bytesOf(record(2, 30, roomy).records[0]!)
    // The first frame, of one byte that no serialization begins with.
    const frame = Buffer.alloc(9)
    frame.writeUInt32LE(1, 0)
    frame.writeUInt32LE(checksum(frame.subarray(8), 0), 4)
    refused(Buffer.concat([bytes.subarray(0, 24), frame]), /cannot read what stands at byte 24: a newer Node/)
  })
})

describe('flight records on disk', () => {
  let folder = ''
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'quorate-flight-'))
  })
  after(() => rm(folder, { recursive: true, force: true }))

  it('are readable by their owner alone, and the newest few are kept', async () => {
    const at = join(folder, 'bounded')
    let ms = 1_000_000
    const store = openFlightRecordFiles({ folder: at, keep: 2, now: () => new Date(ms) })
    const places: string[] = []
    for (let i = 0; i < 4; i++) {
      if (i !== 2) ms += 1000
      places.push(await store.save([Buffer.of(i), Buffer.of(7)]))
    }
    assert.deepEqual(
      (await readdir(at)).map((name) => join(at, name)),
      places.slice(-2)
    )
    assert.deepEqual(await readFile(places.at(-1)!), Buffer.of(3, 7))
    assert.equal((await stat(places.at(-1)!)).mode & 0o777, 0o600)
    await writeFile(join(at, 'flight-2026.record.new'), 'half')
    await writeFile(join(at, 'notes.txt'), 'mine')
    await store.save([])
    assert.deepEqual(
      (await readdir(at)).filter((name) => !name.endsWith('.record')),
      ['notes.txt']
    )
  })

  it('are left by a node that halts, and lead to the same halt again', async () => {
    const group = new Group()
    await using _ = group
    group.flightRecords = openFlightRecordFiles({ folder })
    const ids = ['a', 'b', 'c']
    for (const id of ids) await group.open(id, ids)
    const leader = await group.leader()
    for (let i = 0; i < 20; i++) await leader.raft.propose(Buffer.from(`command ${i}`))
    const [victim, liar] = ids.filter((id) => id !== leader.id) as [string, string]
    let reason = ''
    group.get(victim).raft.on('halt', (event) => {
      reason = event.reason
    })
    const { term } = leader.raft.status()
    // A second leader of the term, which cannot be: the one invariant that a foreign message breaks by itself.
    group.network.transport(liar).send(victim, {
      ...{ type: 'append-entries-request', term, prevIndex: 0, prevTerm: 0, prevChain: 0 },
      ...{ commitIndex: 0, readPosition: 0, entries: [] }
    } as never)
    await until('the node halts', () => reason !== '')
    // Closing waits for what is still being written.
    await group.get(victim).raft.close()
    const [name] = (await readdir(folder)).filter((file) => file.endsWith('.record'))
    const report = await replayFlightRecord(join(folder, name!), { lastSteps: 3 })
    assert.equal(report.differsAt, undefined)
    assert.equal(report.node, victim)
    assert.equal(report.halted, reason)
    assert.match(reason, new RegExp(`^${liar} leads term ${term}, and so does ${leader.id}`))
    assert.match(report.transcript.at(-1)!, /^ {4}halt reason /)
    assert.match(report.transcript.join('\n'), new RegExp(`: ← ${liar} term ${term}, after 0/0: heartbeat`))
  })

  it('are left on request by a node that goes on', async () => {
    const at = join(folder, 'asked')
    const group = new Group()
    await using _ = group
    const silent = await group.open('a', ['a'])
    await assert.rejects(silent.raft.dumpFlightRecord('asked'), /has no place for flight records/)
    await silent.raft.close()
    group.flightRecords = openFlightRecordFiles({ folder: at })
    const { raft } = await group.open('a')
    await until('it leads', () => raft.status().role === 'leader')
    await raft.proposeMany(Array.from({ length: 1000 }, (_, i) => Buffer.from(`command ${i}`)))
    const place = await raft.dumpFlightRecord('an operator asked')
    const report = await replayFlightRecord(place)
    assert.equal(report.differsAt, undefined)
    assert.equal(report.reason, 'an operator asked')
    assert.match(report.transcript.join('\n'), /propose 1000 commands/)
    await raft.propose(Buffer.from('it goes on'))
  })
})
