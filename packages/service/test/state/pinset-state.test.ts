import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Pin } from '@quorate/client/api'
import { LevelDatastore } from 'datastore-level'
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import type { PinsetChange } from '../../src/ports.ts'
import type { Operation } from '../../src/state/ops.ts'
import { openPinsetState, type PinsetState } from '../../src/state/pinset-state.ts'
import { collect, commands, stream, temporaryFolder, testCid, testPin } from './fixtures.ts'

async function snapshotChunks(state: PinsetState): Promise<{ index: number; chunks: Uint8Array[] }> {
  const snapshot = await state.snapshot()
  const chunks = await collect(snapshot.chunks(new AbortController().signal))
  await snapshot.close()
  return { index: snapshot.index, chunks }
}

const pinOf = (number: number, name = ''): Operation => ({ kind: 'pin', pin: testPin(number, { name }) })
const unpinOf = (number: number): Operation => ({ kind: 'unpin', cid: testCid(number) })

describe('the state', () => {
  it('answers what it was told, in the order of the CIDs, and counts it', async (t) => {
    const state = await openPinsetState({ folder: await temporaryFolder(t) })
    await state.apply(commands(1, [pinOf(1), pinOf(2, 'two'), pinOf(3), pinOf(2, 'again')]), 4)
    assert.equal(state.count(), 3)
    assert.deepEqual(await state.get(testCid(2)), testPin(2, { name: 'again' }))
    assert.equal(await state.get(testCid(9)), undefined)
    assert.equal(await state.get('not a cid'), undefined)
    const listed = (await collect(state.list())).map((pin) => pin.cid)
    const byBytes = [1, 2, 3].map(testCid).sort((a, b) => Buffer.compare(CID.parse(a).bytes, CID.parse(b).bytes))
    assert.deepEqual(listed, byBytes)
    await state.close()
  })

  it('answers an unpin with the pin as it was, and one of what is not pinned with an error', async (t) => {
    const changes: PinsetChange[] = []
    const state = await openPinsetState({
      folder: await temporaryFolder(t),
      onChange: (change) => changes.push(change)
    })
    const results = await state.apply(commands(1, [pinOf(1, 'one'), unpinOf(1), unpinOf(1), unpinOf(2)]), 4)
    assert.deepEqual(results[1], { ok: true, kind: 'unpin', pin: testPin(1, { name: 'one' }) })
    assert.deepEqual(
      results.map((result) => (result.ok ? result.kind : result.code)),
      ['pin', 'unpin', 'PIN_NOT_FOUND', 'PIN_NOT_FOUND']
    )
    assert.deepEqual(
      changes.map((change) => change.type),
      ['pin', 'unpin']
    )
    assert.equal(state.count(), 0)
    await state.close()
  })

  it('takes an index without a command, and a command that it cannot read, without a change', async (t) => {
    const changes: PinsetChange[] = []
    const state = await openPinsetState({
      folder: await temporaryFolder(t),
      onChange: (change) => changes.push(change)
    })
    await state.apply([], 7)
    assert.equal(state.appliedIndex(), 7)
    const results = await state.apply([{ index: 8, payload: Uint8Array.of(9) }], 8)
    assert.equal(results[0]?.ok, false)
    assert.equal(state.appliedIndex(), 8)
    assert.deepEqual(changes, [])
    await assert.rejects(state.apply(commands(8, [pinOf(1)]), 8), /the state stands at 8/)
    await state.close()
  })

  it('tells of a change only once it can be read', async (t) => {
    const seen: Promise<Pin | undefined>[] = []
    const state: PinsetState = await openPinsetState({
      folder: await temporaryFolder(t),
      onChange: (change) => {
        if (change.type === 'pin') seen.push(state.get(change.pin.cid))
      }
    })
    await state.apply(commands(1, [pinOf(1), pinOf(2)]), 2)
    assert.deepEqual(await Promise.all(seen), [testPin(1), testPin(2)])
    await state.close()
  })

  it('stands where it stood after it was closed and opened', async (t) => {
    const folder = await temporaryFolder(t)
    const record = { peerId: 'peerA', peername: 'a', addresses: ['/ip4/127.0.0.1/tcp/1'] }
    const first = await openPinsetState({ folder })
    await first.apply(commands(1, [pinOf(1), pinOf(2), unpinOf(1), { kind: 'peer-record', record }]), 5)
    await first.close()
    const second = await openPinsetState({ folder })
    assert.equal(second.discarded, false)
    assert.equal(second.appliedIndex(), 5)
    assert.equal(second.count(), 1)
    assert.deepEqual(await collect(second.list()), [testPin(2)])
    assert.deepEqual(second.peerRecords.list(), [record])
    await second.apply(commands(6, [{ kind: 'peer-forget', peerId: 'peerA' }]), 6)
    assert.deepEqual(second.peerRecords.list(), [])
    await second.close()
  })

  it('gives itself up when a batch is missing from its middle', async (t) => {
    const folder = await temporaryFolder(t)
    const state = await openPinsetState({ folder })
    await state.apply(commands(1, [pinOf(1)]), 1)
    await state.flush()
    for (let index = 2; index <= 5; index++) await state.apply(commands(index, [pinOf(index)]), index)
    // What a power loss can do to LevelDB's log: the batch of index 3 is gone, 4 and 5 are there.
    const copy = join(folder, 'copy')
    await mkdir(copy)
    await state.close()
    const store = new LevelDatastore(join(folder, 'gen-1'))
    await store.open()
    const entries: [string, Uint8Array][] = []
    for await (const [key, value] of store.db.iterator()) entries.push([key, value])
    await store.close()
    const torn = new LevelDatastore(join(copy, 'gen-1'))
    await torn.open()
    for (const [key, value] of entries) await torn.db.put(key, value)
    await torn.db.put('/m/durable', Uint8Array.of(1))
    for (const index of [2, 4, 5])
      await torn.db.put(`/b/${index.toString(16).padStart(14, '0')}`, Uint8Array.of(index - 1))
    await torn.close()
    await writeFile(join(copy, 'current'), 'gen-1\n')

    const opened = await openPinsetState({ folder: copy })
    assert.equal(opened.discarded, true)
    assert.equal(opened.appliedIndex(), 0)
    assert.equal(opened.count(), 0)
    await opened.close()
    assert.deepEqual((await readdir(copy)).sort(), ['current', 'damaged', 'gen-2'])
  })

  it('agrees with a map, however the commands are batched, flushed and reopened', async (t) => {
    const step = fc.record({
      operations: fc.array(
        fc.tuple(fc.constantFrom('pin' as const, 'unpin' as const), fc.nat(8), fc.string({ maxLength: 3 })),
        { maxLength: 12 }
      ),
      next: fc.constantFrom('nothing', 'flush', 'reopen', 'snapshot')
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 8 }), async (steps) => {
        const folder = await temporaryFolder(t)
        const model = new Map<string, Pin>()
        let index = 0
        let state = await openPinsetState({ folder })
        for (const { operations, next } of steps) {
          const batch = operations.map(([kind, number, name]) =>
            kind === 'pin' ? pinOf(number, name) : unpinOf(number)
          )
          const results = await state.apply(commands(index + 1, batch), index + batch.length + 1)
          index += batch.length + 1
          for (const [position, operation] of batch.entries()) {
            const result = results[position]
            if (operation.kind === 'pin') model.set(operation.pin.cid, operation.pin)
            else if (operation.kind === 'unpin') assert.equal(result?.ok, model.delete(operation.cid))
          }
          if (next === 'flush') assert.equal(await state.flush(), index)
          if (next === 'reopen') {
            await state.close()
            state = await openPinsetState({ folder })
          }
          if (next === 'snapshot') {
            const { index: at, chunks } = await snapshotChunks(state)
            await state.restore(at, stream(chunks))
          }
          assert.equal(state.appliedIndex(), index)
          assert.equal(state.count(), model.size)
          const listed = await collect(state.list())
          assert.deepEqual(new Map(listed.map((pin) => [pin.cid, pin])), model)
          assert.equal(listed.length, model.size)
        }
        await state.close()
      }),
      { numRuns: 12 }
    )
  })
})

describe('a snapshot of the state', () => {
  it('is the same bytes on every peer, whatever the batches were', async (t) => {
    const operations: Operation[] = []
    for (let number = 0; number < 200; number++) operations.push(pinOf(number, `n${number}`))
    for (let number = 0; number < 200; number += 3) operations.push(unpinOf(number))
    operations.push({
      kind: 'peer-record',
      record: { peerId: 'peerA', peername: 'a', addresses: ['/ip4/127.0.0.1/tcp/1'] }
    })
    const streams: Buffer[] = []
    for (const size of [1, 7, operations.length]) {
      const state = await openPinsetState({ folder: await temporaryFolder(t) })
      const all = commands(1, operations)
      for (let start = 0; start < all.length; start += size) {
        await state.apply(all.slice(start, start + size), Math.min(start + size, all.length))
      }
      streams.push(Buffer.concat((await snapshotChunks(state)).chunks))
      await state.close()
    }
    assert.deepEqual(streams[1], streams[0])
    assert.deepEqual(streams[2], streams[0])
  })

  it('shows the state at its index while later entries are applied, in chunks of at most 1 MiB', async (t) => {
    const state = await openPinsetState({ folder: await temporaryFolder(t) })
    const big = 'x'.repeat(700_000)
    await state.apply(commands(1, [pinOf(1, big), pinOf(2, big), pinOf(3, big)]), 3)
    const snapshot = await state.snapshot()
    await state.apply(commands(4, [unpinOf(1), pinOf(4)]), 5)
    const chunks = await collect(snapshot.chunks(new AbortController().signal))
    await snapshot.close()
    assert.equal(snapshot.index, 3)
    for (const chunk of chunks) assert.ok(chunk.length <= 1024 * 1024, `a chunk of ${chunk.length} bytes`)

    const other = await openPinsetState({ folder: await temporaryFolder(t) })
    await other.restore(3, stream(chunks))
    assert.deepEqual(new Set((await collect(other.list())).map((pin) => pin.cid)), new Set([1, 2, 3].map(testCid)))
    assert.equal((await state.get(testCid(1)))?.cid, undefined)
    await other.close()
    await state.close()
  })

  it('replaces the state that was there, and says so', async (t) => {
    const source = await openPinsetState({ folder: await temporaryFolder(t) })
    const record = { peerId: 'peerB', peername: 'b', addresses: [] }
    await source.apply(commands(1, [pinOf(1), { kind: 'peer-record', record }]), 9)
    const { index, chunks } = await snapshotChunks(source)
    await source.close()

    const folder = await temporaryFolder(t)
    const changes: PinsetChange[] = []
    const target = await openPinsetState({ folder, onChange: (change) => changes.push(change) })
    await target.apply(commands(1, [pinOf(2), { kind: 'peer-record', record: { ...record, peerId: 'peerC' } }]), 2)
    await target.restore(index, stream(chunks))
    assert.deepEqual(changes.at(-1), { type: 'restored' })
    assert.equal(target.appliedIndex(), 9)
    assert.equal(target.count(), 1)
    assert.equal(await target.get(testCid(2)), undefined)
    assert.deepEqual(target.peerRecords.list(), [record])
    await target.close()
    const again = await openPinsetState({ folder })
    assert.deepEqual(await collect(again.list()), [testPin(1)])
    assert.equal(again.appliedIndex(), 9)
    await again.close()
  })

  it('lets a list that began before a restore end on the old state', async (t) => {
    const state = await openPinsetState({ folder: await temporaryFolder(t) })
    const empty = await snapshotChunks(state)
    await state.apply(
      commands(
        1,
        Array.from({ length: 1500 }, (_, number) => pinOf(number))
      ),
      1500
    )
    const list = state.list()[Symbol.asyncIterator]()
    await list.next()
    await state.restore(0, stream(empty.chunks))
    assert.equal(state.count(), 0)
    let count = 1
    while ((await list.next()).done !== true) count++
    assert.equal(count, 1500)
    await state.close()
  })

  it('is refused, with the state left as it was, when it is cut, changed or of another index', async (t) => {
    const source = await openPinsetState({ folder: await temporaryFolder(t) })
    await source.apply(commands(1, [pinOf(1), pinOf(2)]), 2)
    const whole = Buffer.concat((await snapshotChunks(source)).chunks)
    await source.close()
    const state = await openPinsetState({ folder: await temporaryFolder(t) })
    await state.apply(commands(1, [pinOf(5)]), 1)
    const version = Buffer.from(whole)
    version[4] = 77
    const faults: [number, Uint8Array][] = [
      [2, whole.subarray(0, whole.length - 1)],
      [2, whole.subarray(0, 40)],
      [2, new Uint8Array(0)],
      [2, Buffer.concat([whole, Buffer.of(0)])],
      [3, whole],
      [2, version]
    ]
    for (const [index, bytes] of faults) {
      await assert.rejects(state.restore(index, stream([bytes])), { name: 'SnapshotUnreadableError' })
    }
    assert.deepEqual(await collect(state.list()), [testPin(5)])
    assert.equal(state.appliedIndex(), 1)
    await state.close()
  })
})

describe('the state after kill -9', () => {
  it('stands exactly at its applied index', async (t) => {
    const folder = await temporaryFolder(t)
    const writer = fileURLToPath(new URL('./crash-writer.ts', import.meta.url))
    let index = 0
    for (let round = 0; round < 3; round++) {
      const child = spawn(process.execPath, ['--conditions=quorate-source', writer, folder], {
        stdio: ['ignore', 'pipe', 'inherit']
      })
      const exit = once(child, 'exit')
      let acknowledged = 0
      for await (const line of createInterface({ input: child.stdout })) {
        acknowledged = Number(line)
        if (acknowledged >= index + 400 + round * 130) break
      }
      child.kill('SIGKILL')
      await exit
      const state = await openPinsetState({ folder })
      assert.equal(state.discarded, false)
      index = state.appliedIndex()
      assert.ok(index >= acknowledged, `the state stands at ${index}, ${acknowledged} was acknowledged`)
      // The writer's rule: entry i pins i, and every third one unpins the one before it instead.
      const expected = new Set<string>()
      for (let at = 1; at <= index; at++) {
        if (at % 3 === 0) expected.delete(testCid(at - 1))
        else expected.add(testCid(at))
      }
      assert.deepEqual(new Set((await collect(state.list())).map((pin) => pin.cid)), expected)
      assert.equal(state.count(), expected.size)
      await state.close()
    }
  })
})
