/** A cluster made anew from the folder of one peer (T37). */

import assert from 'node:assert/strict'
import { cp, mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { inspectGroup, openRaft, openSegmentLog, openSnapshotStore, type Transport } from '@quorate/raft'
import { describePosition } from '../../src/cli/recover-command.ts'
import { type Group, newGroup, readGroup, readMembership, seedOf, writeGroup } from '../../src/daemon/group-file.ts'
import { examine, finish, isCutShort, type RecoverFolder, recover } from '../../src/recovery/recover.ts'
import { encodeOperation, type OpResult } from '../../src/state/ops.ts'
import { openPinsetState } from '../../src/state/pinset-state.ts'
import { collect, temporaryFolder, testPin } from '../state/fixtures.ts'

const id = '12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust'
const other = '12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X'

/** Nobody is there. */
const noNetwork = {
  start: async () => undefined,
  stop: async () => undefined,
  setPeers: () => undefined,
  send: () => undefined
} as unknown as Transport

interface Peer extends RecoverFolder {
  readonly group: Group
}

/** Runs the consensus of a folder for as long as `use` takes. */
async function run(
  at: RecoverFolder,
  group: Group,
  use: (raft: Awaited<ReturnType<typeof openRaft<OpResult>>>) => Promise<void>,
  voters?: string[]
): Promise<number> {
  const state = await openPinsetState({ folder: join(at.folder, 'state') })
  const raft = await openRaft<OpResult>(
    {
      storage: openSegmentLog({ folder: at.dataFolder, seedContext: seedOf(group) }),
      snapshots: openSnapshotStore({ folder: at.dataFolder }),
      transport: noNetwork,
      stateMachine: state
    },
    {
      id: group.name!,
      options: { electionTimeoutMs: 50, heartbeatMs: 10 },
      ...(voters === undefined ? {} : { bootstrap: { voters, outgoing: [], learners: [] } })
    }
  )
  try {
    await use(raft)
    return (await collect(state.list())).length
  } finally {
    await raft.close()
    await state.close()
  }
}

/** The folder of a peer with so many pins, which is one of two voters in the end. */
async function peerWith(context: TestContext, pinCount: number): Promise<Peer> {
  const folder = await temporaryFolder(context)
  const group = newGroup('old-cluster', id)
  const at = { folder, dataFolder: join(folder, 'raft'), backupsRotate: 3, id, group }
  await writeGroup(at.dataFolder, group)
  await run(
    at,
    group,
    async (raft) => {
      await raft.readBarrier()
      await raft.proposeMany(
        Array.from({ length: pinCount }, (_, number) => encodeOperation({ kind: 'pin', pin: testPin(number) }))
      )
      // The second voter never comes: nothing is agreed from here on.
      await raft
        .changeMembers({ voters: [group.name!, other], learners: [] }, { signal: AbortSignal.timeout(50) })
        .catch(() => undefined)
    },
    [group.name!]
  )
  return at
}

const names = async (folder: string): Promise<string[]> => (await readdir(folder, { recursive: true })).sort()

describe('a look at a folder', () => {
  it('tells what it holds and what of that was agreed, and changes nothing', async (context) => {
    const peer = await peerWith(context, 3)
    const before = await names(peer.folder)
    const position = await examine(peer)
    assert.deepEqual(await names(peer.folder), before)
    const { end, committedIndex, pinCount, voters, damage, group } = position
    assert.deepEqual([end.index, committedIndex, pinCount, damage], [5, 4, 3, undefined])
    assert.deepEqual(voters, [other, id].sort())
    assert.equal(group.clusterId, 'old-cluster')
    const text = describePosition(position, id)
    assert.match(text, /up to entry 4; 1 after it may have been committed or not/)
    assert.match(text, new RegExp(`Voters: .*${other}`))
  })

  it('is refused where there is no consensus data', async (context) => {
    const folder = await temporaryFolder(context)
    const at = { folder, dataFolder: join(folder, 'raft'), backupsRotate: 3, id }
    await assert.rejects(examine(at), { name: 'StartError', message: /there is no consensus data/ })
    assert.deepEqual(await names(folder), [])
  })
})

describe('a recovery', () => {
  it('makes a cluster of another name, of one voter of another name, with all pins, and keeps the old data', async (context) => {
    const peer = await peerWith(context, 3)
    const group = await recover(peer, [other])
    assert.notEqual(group.clusterId, 'old-cluster')
    assert.notEqual(group.name, peer.group.name)
    assert.deepEqual(group.awaited, [other])
    assert.deepEqual(await readGroup(peer.dataFolder), group)
    assert.deepEqual(await readMembership(peer.folder), { clusterId: group.clusterId, state: 'member' })
    assert.deepEqual((await readdir(peer.folder)).sort(), ['membership.json', 'raft', 'raft.old.0', 'state'])
    const stored = await inspectGroup(peer.dataFolder, { seedContext: seedOf(group) })
    assert.deepEqual(stored?.config, { voters: [group.name], outgoing: [], learners: [] })

    const pinCount = await run(peer, group, async (raft) => {
      await raft.readBarrier()
      await raft.propose(encodeOperation({ kind: 'pin', pin: testPin(100) }))
    })
    assert.equal(pinCount, 4)
    // What is kept aside is whole: the old cluster could go on from it.
    const old = { ...peer, folder: `${peer.dataFolder}.old.0`, dataFolder: `${peer.dataFolder}.old.0` }
    assert.equal((await examine(old)).pinCount, 3)
  })

  it('is finished by another call, wherever it was cut short', async (context) => {
    const peer = await peerWith(context, 2)
    const before = join(await temporaryFolder(context), 'before')
    await cp(peer.folder, before, { recursive: true })
    const group = await recover(peer, [])
    const raft = (folder: string) => join(folder, 'raft')
    // Each puts the folder back to where a crash would have left it; `prepared` is what the new cluster consists of.
    const stages: ((folder: string, prepared: string) => Promise<void>)[] = [
      async () => undefined,
      async (folder) => {
        await rename(raft(folder), `${raft(folder)}.old.0`)
      },
      async (folder) => {
        await rename(raft(folder), `${raft(folder)}.old.0`)
        await rename(join(folder, 'state'), join(`${raft(folder)}.old.0`, 'state'))
      },
      async (folder, prepared) => {
        await rename(raft(folder), `${raft(folder)}.old.0`)
        await rename(join(folder, 'state'), join(`${raft(folder)}.old.0`, 'state'))
        await rename(join(prepared, 'state'), join(folder, 'state'))
      }
    ]
    for (const [number, stage] of stages.entries()) {
      const folder = join(await temporaryFolder(context), 'peer')
      await cp(before, folder, { recursive: true })
      const prepared = join(folder, 'recovery')
      await mkdir(prepared)
      await cp(peer.dataFolder, raft(prepared), { recursive: true })
      await cp(join(peer.folder, 'state'), join(prepared, 'state'), { recursive: true })
      await stage(folder, prepared)
      assert.ok(await isCutShort(folder))
      const at = { ...peer, folder, dataFolder: raft(folder) }
      assert.deepEqual(await finish(at), group, `stage ${number}`)
      assert.ok(!(await isCutShort(folder)))
      assert.deepEqual((await readdir(folder)).sort(), ['membership.json', 'raft', 'raft.old.0', 'state'])
      assert.equal((await examine(at)).pinCount, 2)
      assert.equal(
        (await examine({ ...at, folder: `${raft(folder)}.old.0`, dataFolder: `${raft(folder)}.old.0` })).pinCount,
        2
      )
    }
  })

  it('keeps what was applied where damage took the log', async (context) => {
    const peer = await peerWith(context, 3)
    const segments = (await readdir(peer.dataFolder)).filter((name) => name.endsWith('.seg')).sort()
    const path = join(peer.dataFolder, segments[0]!)
    const bytes = await readFile(path)
    bytes[bytes.length >> 1]! ^= 0xff
    await writeFile(path, bytes)
    const { damage, pinCount, committedIndex } = await examine(peer)
    assert.match(damage ?? '', /cannot be read/)
    assert.deepEqual([pinCount, committedIndex], [3, 4])
    const group = await recover(peer, [])
    assert.equal(await run(peer, group, async (raft) => void (await raft.readBarrier())), 3)
  })

  it('that fails before the end leaves the folder as it was', async (context) => {
    const peer = await peerWith(context, 1)
    const taken = { ...peer, id: 'not ASCII: é' }
    const before = await names(peer.folder)
    await assert.rejects(recover(taken, []), RangeError)
    assert.deepEqual(await names(peer.folder), before)
    assert.ok(!(await isCutShort(peer.folder)))
  })
})
