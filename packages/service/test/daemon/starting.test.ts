/** What a daemon finds in its folder, and what it makes of the decision how to start. On real files, without a network. */

import assert from 'node:assert/strict'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { openSegmentLog } from '@quorate/raft'
import type { ServiceConfig } from '../../src/config/schema.ts'
import {
  clusterIdOfPeerset,
  foundingGroup,
  type Group,
  newGroup,
  readGroup,
  readMembership,
  seedOf,
  writeGroup,
  writeMembership
} from '../../src/daemon/group-file.ts'
import type { Network } from '../../src/daemon/network.ts'
import { type Context, carryOut, makePlan } from '../../src/daemon/starting.ts'
import { temporaryFolder } from '../config/temporary-folder.ts'
import { FakeRpc, silent } from '../consensus/fakes.ts'

interface World extends Context {
  readonly rpc: FakeRpc
  readonly raftFolder: string
}

async function world(
  context: TestContext,
  { initPeerset = [] as string[], connected = [] as string[], bootstrap = [] as string[] } = {}
): Promise<World> {
  const folder = await temporaryFolder(context)
  const raftFolder = join(folder, 'raft')
  const rpc = new FakeRpc()
  const network = {
    id: 'me',
    rpc: rpc.asPeerRpc,
    connected: () => new Set(['me', ...connected]),
    sessions: { session: '0'.repeat(32) },
    libp2p: { getMultiaddrs: () => ['/ip4/127.0.0.1/tcp/7'] },
    addressBook: { learn: async () => undefined }
  } as unknown as Network
  const config = {
    folder,
    cluster: { peername: 'n' },
    consensus: { raft: { dataFolder: raftFolder, initPeerset, backupsRotate: 3, waitForLeaderTimeoutMs: 1_000 } }
  } as unknown as ServiceConfig
  const options = { folder, bootstrap, leave: false, stats: false, loglevel: 'info' }
  return {
    config,
    options,
    network,
    peerstorePeers: connected,
    logger: () => silent,
    lost: undefined,
    stop: new AbortController().signal,
    rpc,
    raftFolder
  }
}

/** Consensus data of a peer that took part in term 3. */
async function writeData(raftFolder: string, group: Group): Promise<void> {
  await writeGroup(raftFolder, group)
  const log = openSegmentLog({ folder: raftFolder, seedContext: seedOf(group) })
  await log.load()
  const config = { voters: [group.name ?? 'me'], outgoing: [], learners: [] }
  await log.reset({ index: 9, term: 3, chain: 1, config })
  await log.persist({ hardState: { term: 3, votedFor: undefined }, truncateFrom: undefined, entries: [] })
  await log.close()
}

describe('a look at the folder', () => {
  it('finds the data, and how far the disk reaches', async (context) => {
    const here = await world(context)
    const group = newGroup('c', 'me')
    await writeData(here.raftFolder, group)
    const { plan, position } = await makePlan(here)
    assert.deepEqual([plan.type, position], ['restart', { term: 3, lastIndex: 9 }])
  })

  it('refuses the data of another peer', async (context) => {
    const here = await world(context)
    await writeData(here.raftFolder, newGroup('c', 'another'))
    await assert.rejects(makePlan(here), {
      name: 'StartError',
      message: /is that of peer another, and this peer is me/
    })
  })

  it('finds that nobody can tell how this peer voted: it is to come back', async (context) => {
    const here = await world(context)
    await writeData(here.raftFolder, newGroup('c', 'me'))
    for (const name of (await readdir(here.raftFolder)).filter((name) => name.startsWith('hard-state'))) {
      await writeFile(join(here.raftFolder, name), Buffer.alloc(4096))
    }
    const { plan } = await makePlan(here)
    assert.equal(plan.type, 'rejoin')
  })

  it('leaves the length of a damaged log to its repair', async (context) => {
    const here = await world(context)
    await writeData(here.raftFolder, newGroup('c', 'me'))
    for (const name of (await readdir(here.raftFolder)).filter((name) => name.startsWith('base'))) {
      await writeFile(join(here.raftFolder, name), 'nonsense')
    }
    const { plan, position } = await makePlan(here)
    assert.deepEqual([plan.type, position], ['restart', { term: 3, lastIndex: undefined }])
  })
})

describe('a look at a folder whose small files are damaged', () => {
  const spoil = async (folder: string, ...names: string[]): Promise<void> => {
    for (const name of names) await writeFile(join(folder, name), 'nonsense')
  }
  const group = newGroup('c', 'me')

  it('finds the data when one of group.json and its copy is sound, and mends the other', async (context) => {
    const here = await world(context)
    await writeData(here.raftFolder, group)
    await spoil(here.raftFolder, 'group.json')
    assert.equal((await makePlan(here)).plan.type, 'restart')
    await spoil(here.raftFolder, 'group-copy.json')
    assert.equal((await makePlan(here)).plan.type, 'restart')
  })

  it("finds that the data is nobody's when both are not: it is to come back to the cluster of membership.json", async (context) => {
    const here = await world(context)
    await writeData(here.raftFolder, group)
    await writeMembership(here.config.folder, { clusterId: 'c', state: 'member' })
    await spoil(here.raftFolder, 'group.json', 'group-copy.json')
    const { plan } = await makePlan(here)
    assert.ok(plan.type === 'rejoin')
    assert.equal(plan.clusterId, 'c')
    assert.match(plan.why, /group\.json/)
  })

  it('without a sound file of either kind forms nothing, and says so; --bootstrap lets it in', async (context) => {
    const here = await world(context, { initPeerset: ['a', 'b'] })
    await spoil(here.config.folder, 'membership.json')
    const { plan } = await makePlan(here)
    assert.ok(plan.type === 'refuse')
    assert.match(plan.reason, /cannot tell which cluster it belongs to: .*membership\.json.*--bootstrap/)
    const joining = { ...here, options: { ...here.options, bootstrap: ['x'] } }
    assert.deepEqual((await makePlan(joining)).plan, { type: 'join', addresses: ['x'], current: undefined })
  })

  it('takes a damaged membership.json beside the data for that of a member, which may have lost its log', async (context) => {
    const here = await world(context, { initPeerset: ['a', 'b'] })
    await writeGroup(here.raftFolder, foundingGroup('c'))
    await spoil(here.config.folder, 'membership.json')
    const { plan } = await makePlan(here)
    assert.equal(plan.type, 'rejoin')
  })
})

describe('a start', () => {
  it('that forms a cluster alone gives this peer a name of its own', async (context) => {
    const here = await world(context)
    const start = await carryOut({ type: 'form', voters: ['me'] }, here)
    assert.ok(start !== 'removed')
    const group = await readGroup(here.raftFolder)
    assert.deepEqual(start.group, group)
    assert.match(group?.name ?? '', /^me#[0-9a-f]{32}$/)
    assert.deepEqual([start.bootstrap?.voters, start.forming, start.fresh], [[group?.name], false, true])
    // As after a crash before anything was written into the log.
    const { plan } = await makePlan(here)
    assert.ok(plan.type === 'restart')
    const again = await carryOut(plan, here)
    assert.ok(again !== 'removed')
    assert.deepEqual(again.bootstrap, start.bootstrap)
  })

  it('that forms a cluster with others names all by their peer IDs', async (context) => {
    const here = await world(context, { initPeerset: ['b', 'me'] })
    const start = await carryOut({ type: 'form', voters: ['b', 'me'] }, here)
    assert.ok(start !== 'removed')
    assert.equal(start.group.clusterId, clusterIdOfPeerset(['me', 'b']))
    assert.deepEqual([start.group.name, start.bootstrap?.voters, start.forming], [undefined, ['b', 'me'], true])
  })

  it('that forms a cluster keeps data aside of which nothing says whose it is', async (context) => {
    const here = await world(context)
    await writeData(here.raftFolder, newGroup('c', 'me'))
    for (const name of ['group.json', 'group-copy.json']) await rm(join(here.raftFolder, name))
    const { plan } = await makePlan(here)
    assert.ok(plan.type === 'form')
    await carryOut(plan, here)
    assert.ok((await readdir(`${here.raftFolder}.old.0`)).some((name) => name.startsWith('hard-state')))
    assert.equal((await makePlan(here)).position.lastIndex, 0)
  })

  it('that forms a cluster on a disk of its own leaves what the disk came with', async (context) => {
    const here = await world(context)
    await mkdir(join(here.raftFolder, 'lost+found'), { recursive: true })
    await carryOut({ type: 'form', voters: ['me'] }, here)
    assert.deepEqual(await readdir(here.config.folder), ['raft'])
  })

  const member = { clusterId: 'c', confirmed: true, member: true, names: ['me'], tookPart: true, peers: [] }

  it('that would form a cluster comes back to the one that it took part in, under another name', async (context) => {
    const here = await world(context, { initPeerset: ['b', 'me'], connected: ['b'] })
    const asked: unknown[] = []
    here.rpc.onCall = async (_peer, method, request) => {
      if (method === 'Cluster.membership') return member
      asked.push(request)
      return { clusterId: 'c', alreadyMember: false, peers: [{ id: 'b', peername: '', addresses: [] }] }
    }
    const start = await carryOut({ type: 'form', voters: ['b', 'me'] }, here)
    assert.ok(start !== 'removed')
    const [request] = asked as [{ incarnation: string; returns: boolean; current?: unknown }]
    assert.deepEqual([request.returns, request.current], [true, undefined])
    assert.equal(start.group.name, `me#${request.incarnation}`)
    assert.deepEqual([start.bootstrap, start.knownPeers, start.fresh], [undefined, ['b'], true])
    assert.deepEqual(await readMembership(here.config.folder), { clusterId: 'c', state: 'member' })
  })

  it('of a peer that comes back keeps its old data aside, and touches nothing before it is let in', async (context) => {
    const here = await world(context, { connected: ['b'] })
    const old = foundingGroup('c')
    await writeData(here.raftFolder, old)
    await mkdir(join(here.config.folder, 'state'))
    await writeMembership(here.config.folder, { clusterId: 'c', state: 'member' })
    let before: string[] = []
    here.rpc.onCall = async (_peer, method) => {
      if (method === 'Cluster.membership') return member
      before = (await readdir(here.config.folder)).sort()
      return { clusterId: 'c', alreadyMember: false, peers: [] }
    }
    const { plan } = await makePlan({ ...here, lost: 'it is an older copy' })
    assert.ok(plan.type === 'rejoin')
    await carryOut(plan, here)
    assert.deepEqual(before, ['membership.json', 'raft', 'state'])
    assert.deepEqual((await readdir(here.config.folder)).sort(), ['membership.json', 'raft', 'raft.old.0'])
    assert.deepEqual(await readGroup(`${here.raftFolder}.old.0`), old)
    assert.ok((await readdir(`${here.raftFolder}.old.0`)).includes('state'))
  })

  it('of a peer that was removed while it was away says so, and changes nothing', async (context) => {
    const here = await world(context, { connected: ['b'] })
    here.rpc.onCall = async () => ({ ...member, member: false, names: [] })
    assert.equal(await carryOut({ type: 'rejoin', clusterId: 'c', why: 'it is gone' }, here), 'removed')
    assert.deepEqual(await readdir(here.config.folder), [])
  })
})
