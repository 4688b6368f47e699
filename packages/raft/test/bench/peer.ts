/**
 * One process of the benchmarks of consensus: a libp2p host with a private network, a log with fsync, a state machine that only
 * counts, as the one it is compared with does. `test/bench/raft/peers.ts` forks three of these and speaks to them by IPC, and for
 * reads one more that is no member: the client, which asks a member over `@quorate/wire`.
 */

import { performance } from 'node:perf_hooks'
import { multiaddr } from '@multiformats/multiaddr'
import { createRpc, type RpcEndpoint } from '@quorate/wire'
import type { Raft } from '../../src/api.ts'
import type { Command, StateMachine, StateSnapshot } from '../../src/ports.ts'
import { createHost, startNode } from '../support/libp2p-node.ts'

/** What the parent says. */
export type ToPeer =
  | { readonly type: 'open'; readonly secret: string }
  | { readonly type: 'start'; readonly folder: string; readonly peers: readonly PeerAddress[] }
  | {
      readonly type: 'run'
      readonly concurrency: number
      /** Entries of one proposal. */
      readonly batch: number
      readonly entries: number
      readonly entryBytes: number
    }
  /** Linearizable reads of one value: at this member, or, by a client, over the network at the member `at`. */
  | { readonly type: 'read'; readonly readers: number; readonly seconds: number; readonly at?: PeerAddress }
  | { readonly type: 'stop' }

export interface PeerAddress {
  readonly id: string
  readonly addresses: readonly string[]
}

/** What it is told. */
export type FromPeer =
  | { readonly type: 'opened'; readonly peer: PeerAddress }
  | { readonly type: 'leading' }
  | { readonly type: 'result'; readonly result: LoadResult }
  | { readonly type: 'reads'; readonly result: ReadResult }

interface Latencies {
  readonly p50Ms: number
  readonly p99Ms: number
}

export interface LoadResult extends Latencies {
  readonly entriesPerSecond: number
}

export interface ReadResult extends Latencies {
  readonly readsPerSecond: number
}

const RPC_PROTOCOL = '/quorate/bench/1'
/** What is read: as large as the values of those it is compared with. */
const VALUE_BYTES = 256
/** Reads before those that are measured. */
const WARM_UP_SECONDS = 1

class CountingMachine implements StateMachine<undefined> {
  #index = 0
  bytes = 0
  readonly value = new Uint8Array(VALUE_BYTES)

  appliedIndex(): number {
    return this.#index
  }

  async apply(commands: readonly Command[], throughIndex: number): Promise<readonly undefined[]> {
    for (const { payload } of commands) this.bytes += payload.length
    this.#index = throughIndex
    return new Array(commands.length).fill(undefined)
  }

  async flush(): Promise<number> {
    return this.#index
  }

  async snapshot(): Promise<StateSnapshot> {
    return { index: this.#index, async *chunks() {}, async close() {} }
  }

  async restore(index: number): Promise<void> {
    this.#index = index
  }
}

const say = (message: FromPeer): void => {
  process.send?.(message)
}

function latenciesOf(values: number[]): Latencies {
  const sorted = Float64Array.from(values).sort()
  return { p50Ms: sorted[Math.floor(sorted.length / 2)]!, p99Ms: sorted[Math.floor(sorted.length * 0.99)]! }
}

/** Keeps `concurrency` proposals under way until `entries` are committed and applied here. */
async function load(
  raft: Raft<undefined>,
  { concurrency, batch, entries, entryBytes }: Extract<ToPeer, { type: 'run' }>
): Promise<LoadResult> {
  const proposals = Math.ceil(entries / batch)
  const latencies: number[] = []
  let begun = 0
  const worker = async (): Promise<void> => {
    while (begun < proposals) {
      begun++
      const startMs = performance.now()
      if (batch === 1) await raft.propose(new Uint8Array(entryBytes))
      else await raft.proposeMany(Array.from({ length: batch }, () => new Uint8Array(entryBytes)))
      latencies.push(performance.now() - startMs)
    }
  }
  const startMs = performance.now()
  await Promise.all(Array.from({ length: concurrency }, worker))
  const seconds = (performance.now() - startMs) / 1000
  return { entriesPerSecond: Math.round((proposals * batch) / seconds), ...latenciesOf(latencies) }
}

/** Keeps `readers` reads under way. */
async function read(readers: number, seconds: number, readOnce: () => Promise<unknown>): Promise<ReadResult> {
  const run = async (runSeconds: number): Promise<ReadResult> => {
    const latencies: number[] = []
    const startMs = performance.now()
    const endMs = startMs + runSeconds * 1000
    const reader = async (): Promise<void> => {
      for (let fromMs = performance.now(); fromMs < endMs; ) {
        await readOnce()
        const nowMs = performance.now()
        latencies.push(nowMs - fromMs)
        fromMs = nowMs
      }
    }
    await Promise.all(Array.from({ length: readers }, reader))
    const took = (performance.now() - startMs) / 1000
    return { readsPerSecond: Math.round(latencies.length / took), ...latenciesOf(latencies) }
  }
  await run(WARM_UP_SECONDS)
  return run(seconds)
}

async function main(): Promise<void> {
  let libp2p: Awaited<ReturnType<typeof createHost>> | undefined
  let raft: Raft<undefined> | undefined
  let rpc: RpcEndpoint | undefined
  const machine = new CountingMachine()
  /** The state is read once it holds all that was acknowledged before. */
  const readHere = async (): Promise<Uint8Array> => {
    await raft!.readBarrier()
    return machine.value
  }
  const handle = async (message: ToPeer): Promise<void> => {
    switch (message.type) {
      case 'open': {
        libp2p = await createHost({ secret: Buffer.from(message.secret, 'hex') })
        rpc = createRpc({
          libp2p,
          protocol: RPC_PROTOCOL,
          authorize: () => true,
          limits: { maxCalls: 4096 }
        })
        rpc.handle('read', readHere)
        await rpc.start()
        const addresses = libp2p.getMultiaddrs().map((address) => address.toString())
        say({ type: 'opened', peer: { id: libp2p.peerId.toString(), addresses } })
        break
      }
      case 'start': {
        const host = libp2p!
        for (const { id, addresses } of message.peers) {
          if (id === host.peerId.toString()) continue
          for (const address of addresses) await host.dial(multiaddr(address))
        }
        const voters = message.peers.map(({ id }) => id)
        raft = await startNode({
          libp2p: host,
          folder: message.folder,
          stateMachine: machine,
          bootstrap: { voters, outgoing: [], learners: [] }
        })
        raft.on('role', ({ role }) => {
          if (role === 'leader') say({ type: 'leading' })
        })
        raft.on('halt', ({ reason }) => {
          throw new Error(reason)
        })
        break
      }
      case 'run':
        say({ type: 'result', result: await load(raft!, message) })
        break
      case 'read': {
        const { readers, seconds, at } = message
        const request = new Uint8Array(0)
        let readOnce: () => Promise<Uint8Array> = readHere
        if (at !== undefined) {
          await libp2p!.dial(at.addresses.map((address) => multiaddr(address)))
          readOnce = () => rpc!.call(at.id, 'read', request)
        }
        say({ type: 'reads', result: await read(readers, seconds, readOnce) })
        break
      }
      case 'stop':
        await rpc?.stop()
        await raft?.close()
        await libp2p?.stop()
        process.disconnect()
        break
    }
  }
  process.on('message', (message: ToPeer) => {
    handle(message).catch((error: unknown) => {
      console.error(error)
      process.exit(1)
    })
  })
}

await main()
