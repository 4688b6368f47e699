/**
 * Voters that lost what they had promised (T34, T35), with real transports, logs in folders, and each death and return scripted: an
 * entry is acknowledged by `a` and `b`, `b` forgets it, `a` dies, and `b` and `c`, which never had it, must elect nobody. The first test
 * shows that they would, if `b` came back as if nothing had happened.
 */

import assert from 'node:assert/strict'
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { PrivateKey } from '@libp2p/interface'
import type { Libp2p } from 'libp2p'
import type { Raft } from '../../src/api.ts'
import type { MessageLimits, TransportHandler } from '../../src/ports.ts'
import { countBoot } from '../../src/storage/boot-counter.ts'
import { inspectGroup } from '../../src/storage/log-reader.ts'
import type { Life } from '../../src/transport/hello.ts'
import { createLibp2pTransport, type Libp2pTransportInit } from '../../src/transport/libp2p-transport.ts'
import { nodeNameOf } from '../../src/transport/node-name.ts'
import { PeersSeen } from '../../src/transport/peers-seen.ts'
import { createHost, newSecret, startNode } from '../support/libp2p-node.ts'
import { RegisterMachine } from '../support/register-machine.ts'
import { until } from '../support/until.ts'

const bytes = (text: string): Uint8Array => Buffer.from(text)

/** One peer: its key stays, all else may be lost. */
interface Peer {
  readonly privateKey: PrivateKey
  readonly id: string
  /** Survives the process, as far as it does in the test. */
  readonly seen: PeersSeen
  folder: string
  machine: RegisterMachine
  libp2p: Libp2p | undefined
  raft: Raft<string> | undefined
  /** Who refused this start, and why. */
  readonly olderCopy: string[]
}

class World implements AsyncDisposable {
  readonly peers: Peer[] = []
  readonly #root: string
  readonly #secret = newSecret()
  #folders = 0

  private constructor(root: string) {
    this.#root = root
  }

  /** `a`, which leads, `b` and `c`, all plain members. */
  static async start(): Promise<[World, Peer, Peer, Peer]> {
    const world = new World(await mkdtemp(join(tmpdir(), 'quorate-identity-')))
    for (let i = 0; i < 3; i++) {
      // A host made without a key makes one, and tells it to its components only.
      const host = (await createHost({ secret: world.#secret })) as Libp2p & { components: { privateKey: PrivateKey } }
      await host.stop()
      world.peers.push({
        privateKey: host.components.privateKey,
        id: host.peerId.toString(),
        seen: new PeersSeen(),
        folder: world.newFolder(),
        machine: new RegisterMachine(),
        libp2p: undefined,
        raft: undefined,
        olderCopy: []
      })
    }
    const [a, b, c] = world.peers as [Peer, Peer, Peer]
    for (const peer of world.peers) await world.run(peer, { first: true })
    await a.raft!.readBarrier()
    if (a.raft!.status().role !== 'leader') {
      const leader = world.peers.find(({ id }) => id === a.raft!.status().leader)
      await leader!.raft!.transferLeadership(a.id)
    }
    await a.raft!.propose(bytes('before'))
    await until('all have it', () => world.peers.every(({ machine }) => machine.texts.includes('before')))
    return [world, a, b, c]
  }

  newFolder(): string {
    return join(this.#root, String(this.#folders++))
  }

  /** Starts a peer from its folder. */
  async run(
    peer: Peer,
    init: { nodeId?: string; first?: boolean; transport?: Partial<Libp2pTransportInit> } = {}
  ): Promise<void> {
    const libp2p = await createHost({ secret: this.#secret, privateKey: peer.privateKey })
    peer.libp2p = libp2p
    for (const other of this.peers) {
      if (other === peer || other.libp2p === undefined) continue
      await libp2p.peerStore.merge(other.libp2p.peerId, { multiaddrs: other.libp2p.getMultiaddrs() })
      await other.libp2p.peerStore.merge(libp2p.peerId, { multiaddrs: libp2p.getMultiaddrs() })
    }
    const voters = this.peers.map(({ id }) => id)
    peer.raft = await startNode({
      libp2p,
      folder: peer.folder,
      stateMachine: peer.machine,
      ...(init.nodeId === undefined ? {} : { nodeId: init.nodeId }),
      ...(init.first === true ? { bootstrap: { voters, outgoing: [], learners: [] } } : {}),
      transport: {
        life: await this.life(peer),
        seen: peer.seen,
        onOlderCopy: (_by, reason) => peer.olderCopy.push(reason),
        ...init.transport
      }
    })
  }

  async life({ folder }: Peer): Promise<Life> {
    await mkdir(folder, { recursive: true })
    const stored = await inspectGroup(folder)
    const life = await countBoot(folder, { term: stored?.hardState.term ?? 0, lastIndex: stored?.lastIndex ?? 0 })
    if (typeof life === 'string') assert.fail(life)
    return life
  }

  /** Ends a peer without a word. */
  async kill(peer: Peer): Promise<void> {
    const { libp2p, raft } = peer
    peer.libp2p = undefined
    peer.raft = undefined
    for (const connection of libp2p?.getConnections() ?? []) connection.abort(new Error('killed'))
    await Promise.all([raft?.close(), libp2p?.stop()])
    peer.machine = peer.machine.crash()
  }

  /** Takes a killed peer's data away. */
  wipe(peer: Peer): void {
    peer.folder = this.newFolder()
    peer.machine = new RegisterMachine()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const peer of this.peers) await this.kill(peer)
    await rm(this.#root, { recursive: true, force: true })
  }
}

/** `a` and `b` acknowledge an entry that `c` never gets, and all of them are down then. */
async function acknowledgeWithout(world: World, a: Peer, b: Peer, c: Peer): Promise<void> {
  await world.kill(c)
  await a.raft!.propose(bytes('acknowledged'))
  await until('b has it', () => b.machine.texts.includes('acknowledged'))
  await world.kill(b)
  await world.kill(a)
}

/** Waits until `c` has asked for votes so often that it would lead if it had one. */
async function untilTriedInVain(c: Peer): Promise<void> {
  const asked = (): number => c.raft!.metrics().sent['pre-vote-request'].count
  const before = asked()
  await until('c campaigned, or led', () => asked() >= before + 10 || c.raft!.status().role === 'leader')
  assert.notEqual(c.raft!.status().role, 'leader')
}

describe('a voter that lost its data', () => {
  it('would elect a leader without what it had acknowledged, if it came back as who it was', async () => {
    const [world, a, b, c] = await World.start()
    await using _ = world
    await acknowledgeWithout(world, a, b, c)
    world.wipe(b)
    const forgetful = { transport: { seen: new PeersSeen() } }
    await world.run(b, forgetful)
    await world.run(c, forgetful)
    await until('c leads', () => c.raft!.status().role === 'leader')
    await c.raft!.propose(bytes('instead'))
    assert.ok(!c.machine.texts.includes('acknowledged'))
  })

  it('elects nobody under another name, and takes its own place in one change once a leader is there', async () => {
    const [world, a, b, c] = await World.start()
    await using _ = world
    await acknowledgeWithout(world, a, b, c)
    world.wipe(b)
    const name = nodeNameOf(b.id, '00000000000000000000000000000002')
    await world.run(b, { nodeId: name })
    await world.run(c)
    await untilTriedInVain(c)

    await world.run(a)
    await until('a leads', () => a.raft!.status().role === 'leader')
    await a.raft!.readBarrier()
    const { voters } = a.raft!.status().config
    assert.deepEqual(voters, [a.id, b.id, c.id].sort())
    const joint: number[] = []
    a.raft!.on('config', ({ config }) => joint.push(config.voters.length, config.outgoing.length))
    await a.raft!.changeMembers({ voters, learners: [name] })
    await until('b has caught up', () => b.machine.texts.includes('acknowledged'))
    await a.raft!.changeMembers({ voters: [a.id, name, c.id].sort(), learners: [] })
    assert.ok(
      joint.every((count) => count === 3 || count === 0),
      'no voter fewer at any moment'
    )
    // It counts: without it there would be no majority now.
    await world.kill(c)
    await a.raft!.propose(bytes('after'))
    await until('b has that too', () => b.machine.texts.includes('after'))
  })

  it('is refused under its old name by whoever met it, falls silent, and elects nobody', async () => {
    const [world, a, b, c] = await World.start()
    await using _ = world
    await acknowledgeWithout(world, a, b, c)
    world.wipe(b)
    await world.run(c)
    await world.run(b)
    await until('b was told', () => b.olderCopy.length > 0)
    assert.match(b.olderCopy[0]!, /^start 1 of .* comes after start 1 was seen/)
    await untilTriedInVain(c)
    assert.notEqual(b.raft!.status().role, 'leader')
  })
})

describe('a voter whose disk was put back to an older copy', () => {
  it('is known by its count of starts, falls silent, and elects nobody', async () => {
    const [world, a, b, c] = await World.start()
    await using _ = world
    await world.kill(b)
    const copy = world.newFolder()
    await cp(b.folder, copy, { recursive: true })
    const older = b.machine.crash()
    // `c` meets its second start, and goes away before the entry.
    await world.run(b)
    await until('b is back', () => b.raft!.status().leader === a.id)
    await acknowledgeWithout(world, a, b, c)
    b.folder = copy
    b.machine = older
    await world.run(c)
    await world.run(b)
    await until('b was told', () => b.olderCopy.length > 0)
    assert.match(b.olderCopy[0]!, /^start 2 of .* comes after start 2 was seen/)
    await untilTriedInVain(c)

    // With `a`, `c` is a majority: nothing was lost, and `b` is not needed.
    await world.run(a)
    await until('a leads', () => a.raft!.status().role === 'leader')
    await a.raft!.readBarrier()
    assert.deepEqual(a.machine.texts, ['before', 'acknowledged'])
    await until('c has what was acknowledged', () => c.machine.texts.includes('acknowledged'))
  })

  it('is refused for good once a leader saw that it does not hold what it acknowledged', async () => {
    const refused: string[] = []
    const secret = newSecret()
    await using hosts = new AsyncDisposableStack()
    const host = async () => {
      const libp2p = await createHost({ secret })
      hosts.defer(() => libp2p.stop())
      return libp2p
    }
    const [one, two] = [await host(), await host()]
    await one.peerStore.merge(two.peerId, { multiaddrs: two.getMultiaddrs() })
    await two.peerStore.merge(one.peerId, { multiaddrs: one.getMultiaddrs() })
    const start = async (libp2p: Libp2p, other: Libp2p, boot: number) => {
      const up: string[] = []
      const got: string[] = []
      const transport = createLibp2pTransport({
        libp2p,
        clusterId: 'test',
        incarnation: 'x',
        maxRedialMs: 50,
        life: { boot, bootId: `${boot}`.padStart(16, '0'), term: 1, lastIndex: 0 },
        seen: new PeersSeen(),
        onOlderCopy: (_by, reason) => refused.push(reason)
      })
      const handler: TransportHandler = {
        onMessage: (from, { type }) => got.push(`${from} ${type}`),
        onPeerUp: (peer, about) => up.push(`${peer} ${about?.featureLevel}`),
        onPeerDown: (peer) => up.splice(up.findIndex((line) => line.startsWith(peer))),
        onFetchManifest: () => assert.fail('nobody asks'),
        onFetchChunk: () => assert.fail('nobody asks')
      } as Partial<TransportHandler> as TransportHandler
      await transport.start(handler, { maxEntryBytes: 1024, maxAppendBytes: 1024 } as MessageLimits)
      hosts.defer(() => transport.stop())
      transport.setPeers([other.peerId.toString()])
      return { transport, up, got }
    }
    const first = await start(one, two, 1)
    const second = await start(two, one, 1)
    const [name] = [two.peerId.toString()]
    await until('both are up', () => first.up.length === 1 && second.up.length === 1)
    second.transport.send(one.peerId.toString(), { type: 'timeout-now', term: 1, leaderOver: false } as never)
    await until('it is heard', () => first.got.length === 1)
    first.transport.condemn(name, 'it lost its log')
    assert.deepEqual(first.up, [])
    second.transport.send(one.peerId.toString(), { type: 'timeout-now', term: 1, leaderOver: false } as never)
    for (const connection of two.getConnections()) await connection.close()
    await until('it was told', () => refused.length > 0)
    assert.deepEqual([refused[0], first.got.length, second.up], ['it lost its log', 1, []])
  })
})
