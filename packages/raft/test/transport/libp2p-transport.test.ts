import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { PrivateKey } from '@libp2p/interface'
import type { Libp2p } from 'libp2p'
import type { Raft } from '../../src/api.ts'
import type { CoreOptions } from '../../src/core/types.ts'
import type { TransportHandler } from '../../src/ports.ts'
import { createLibp2pTransport } from '../../src/transport/libp2p-transport.ts'
import { createHost, newSecret, startNode } from '../support/libp2p-node.ts'
import { RegisterMachine } from '../support/register-machine.ts'
import { until } from '../support/until.ts'

const bytes = (text: string): Uint8Array => Buffer.from(text)
const texts = (count: number, prefix = 'c'): string[] => Array.from({ length: count }, (_, i) => `${prefix}${i}`)

interface Node {
  readonly id: string
  readonly folder: string
  libp2p: Libp2p
  machine: RegisterMachine
  raft: Raft<string>
}

/** Nodes on loopback, each with a host and a folder of its own. */
class World implements AsyncDisposable {
  readonly nodes: Node[] = []
  readonly refusals: { readonly by: string; readonly reason: string }[] = []
  readonly #secret = newSecret()
  readonly #root: string
  readonly #options: Partial<CoreOptions>

  private constructor(root: string, options: Partial<CoreOptions>) {
    this.#root = root
    this.#options = options
  }

  static async start(count: number, options: Partial<CoreOptions> = {}): Promise<World> {
    const world = new World(await mkdtemp(join(tmpdir(), 'quorate-raft-')), options)
    const hosts = await Promise.all(Array.from({ length: count }, () => createHost({ secret: world.#secret })))
    for (const host of hosts) await meet(host, hosts)
    // In no particular order, as they come from a configuration file.
    const voters = hosts.map((host) => host.peerId.toString())
    for (const host of hosts) await world.#run(host, voters)
    return world
  }

  /** Starts a node that waits to be added. */
  async join(clusterId?: string): Promise<Node> {
    const host = await createHost({ secret: this.#secret })
    await meet(
      host,
      this.nodes.map(({ libp2p }) => libp2p)
    )
    for (const { libp2p } of this.nodes) await meet(libp2p, [host])
    return this.#run(host, undefined, clusterId)
  }

  async #run(libp2p: Libp2p, voters: readonly string[] | undefined, clusterId = 'test'): Promise<Node> {
    const id = libp2p.peerId.toString()
    const folder = join(this.#root, id)
    const machine = new RegisterMachine()
    const raft = await startNode({
      libp2p,
      folder,
      stateMachine: machine,
      clusterId,
      options: this.#options,
      transport: { onRefused: (by, reason) => this.refusals.push({ by, reason }) },
      ...(voters === undefined ? {} : { bootstrap: { voters, outgoing: [], learners: [] } })
    })
    const node = { id, folder, libp2p, machine, raft }
    this.nodes.push(node)
    return node
  }

  /** Ends a node without a word: its connections break, and its state keeps only what was durable. */
  async kill(node: Node): Promise<void> {
    for (const connection of node.libp2p.getConnections()) connection.abort(new Error('killed'))
    await Promise.all([node.raft.close(), node.libp2p.stop()])
  }

  /** Starts a killed node again, as the same peer at another address. */
  async restart(node: Node): Promise<void> {
    node.libp2p = await createHost({ secret: this.#secret, privateKey: privateKeyOf(node.libp2p) })
    const others = this.nodes.filter((other) => other !== node).map(({ libp2p }) => libp2p)
    await meet(node.libp2p, others)
    for (const other of others) await meet(other, [node.libp2p])
    node.machine = node.machine.crash()
    node.raft = await startNode({
      libp2p: node.libp2p,
      folder: node.folder,
      stateMachine: node.machine,
      options: this.#options
    })
  }

  async leader(among: readonly Node[] = this.nodes): Promise<Node> {
    let leader: Node | undefined
    await until('all follow one leader', () => {
      const id = among[0]!.raft.status().leader
      leader = among.find((node) => node.id === id && node.raft.status().role === 'leader')
      return leader !== undefined && among.every((node) => node.raft.status().leader === id)
    })
    return leader!
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map(({ raft }) => raft.close()))
    await Promise.all(this.nodes.map(({ libp2p }) => libp2p.stop()))
    await rm(this.#root, { recursive: true, force: true })
  }
}

/** A host made without a key makes one, and tells it to its components only. */
const privateKeyOf = (libp2p: Libp2p): PrivateKey =>
  (libp2p as unknown as { readonly components: { readonly privateKey: PrivateKey } }).components.privateKey

async function meet(host: Libp2p, others: readonly Libp2p[]): Promise<void> {
  for (const other of others) {
    if (other !== host) await host.peerStore.merge(other.peerId, { multiaddrs: other.getMultiaddrs() })
  }
}

describe('a group over libp2p and files', () => {
  it('survives the death and the return of its leader, applying each command once', async () => {
    await using world = await World.start(3)
    const first = await world.leader()
    const all = texts(2000)
    await Promise.all(all.map((text) => first.raft.propose(bytes(text))))
    await world.kill(first)
    const rest = world.nodes.filter((node) => node !== first)
    const second = await world.leader(rest)
    await second.raft.proposeMany(texts(100, 'd').map(bytes))
    await world.restart(first)
    await until('the old leader has caught up', () => first.machine.applied.length === 2100)
    for (const { machine } of world.nodes) assert.deepEqual(machine.texts, [...all, ...texts(100, 'd')])
  })

  it('stands up again after all of its nodes were killed', async () => {
    await using world = await World.start(3)
    const leader = await world.leader()
    await leader.raft.proposeMany(texts(500).map(bytes))
    await Promise.all(world.nodes.map((node) => world.kill(node)))
    for (const node of world.nodes) await world.restart(node)
    await world.leader()
    for (const { raft, machine } of world.nodes) {
      await raft.readBarrier()
      assert.deepEqual(machine.texts, texts(500))
    }
  })

  it('brings a joiner up by snapshot over the bulk protocol, and lets it vote', async () => {
    await using world = await World.start(3, { trailingEntries: 10 })
    const leader = await world.leader()
    for (let i = 0; i < 10; i++) await leader.raft.proposeMany(texts(1000, `${i}-`).map(bytes))
    await Promise.all(world.nodes.map(({ raft }) => raft.waitApplied(10_000)))
    await leader.raft.checkpoint()
    await until('the log is compacted', () => leader.raft.status().baseIndex > 9000)
    const joiner = await world.join()
    const voters = leader.raft.status().config.voters
    await leader.raft.changeMembers({ voters, learners: [joiner.id] })
    await until('the joiner has the state', () => joiner.machine.applied.length === 10_000)
    assert.equal(joiner.machine.restores, 1)
    await leader.raft.changeMembers({ voters: [...voters, joiner.id], learners: [] })
    await leader.raft.transferLeadership(joiner.id)
    await joiner.raft.propose(bytes('mine'))
    assert.equal(joiner.machine.texts.at(-1), 'mine')
  })

  it('does not listen to a peer of another cluster, and tells it why', async () => {
    await using world = await World.start(1)
    const member = await world.leader()
    const stranger = await world.join('other')
    await member.raft.changeMembers({ voters: [member.id], learners: [stranger.id] })
    await until('the member was told', () => world.refusals.length > 0)
    const reason = 'it belongs to the cluster test, and this peer to the cluster other'
    assert.deepEqual(world.refusals[0], { by: stranger.id, reason })
    await member.raft.propose(bytes('x'))
    assert.equal(member.raft.status().peers.find(({ id }) => id === stranger.id)?.matchIndex, 0)
    assert.equal(stranger.raft.status().leader, undefined)
  })

  it('does not start with limits whose messages it would not carry (T19)', async () => {
    const libp2p = await createHost({ secret: newSecret() })
    const transport = createLibp2pTransport({ libp2p, clusterId: 'test', incarnation: 'one' })
    const handler = {} as TransportHandler
    const limits = { maxEntryBytes: 1024, maxAppendBytes: 1024 }
    await assert.rejects(transport.start(handler, { ...limits, maxEntryBytes: 5 * 1024 * 1024 }), {
      name: 'RangeError',
      message: /maxMessageBytes is 4194304.*maxEntryBytes 5242880/
    })
    await assert.rejects(transport.start(handler, { ...limits, maxAppendBytes: 4 * 1024 * 1024 }), {
      name: 'RangeError'
    })
    await transport.stop()
    await libp2p.stop()
  })

  it('carries the largest command that it starts with', async () => {
    await using world = await World.start(3, { maxEntryBytes: 4 * 1024 * 1024 - 59 })
    const leader = await world.leader()
    await leader.raft.propose(Buffer.alloc(4 * 1024 * 1024 - 59, 'x'))
    await until('all have it', () => world.nodes.every(({ machine }) => machine.applied.length === 1))
    await leader.raft.propose(bytes('y'))
  })
})
