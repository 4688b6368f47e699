/**
 * One process of the benchmark of consensus: a libp2p host with a private network, a log with fsync, a state machine that only
 * counts, as the one it is compared with does. `test/bench/raft/run.ts` forks three of these and speaks to them by IPC.
 */

import { performance } from 'node:perf_hooks'
import { multiaddr } from '@multiformats/multiaddr'
import type { Raft } from '../../src/api.ts'
import type { Command, StateMachine, StateSnapshot } from '../../src/ports.ts'
import { createHost, startNode } from '../support/libp2p-node.ts'

/** What the parent says. */
export type ToPeer =
  | { readonly type: 'open'; readonly secret: string }
  | { readonly type: 'start'; readonly folder: string; readonly peers: readonly PeerAddress[] }
  | { readonly type: 'run'; readonly concurrency: number; readonly entries: number; readonly entryBytes: number }
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

export interface LoadResult {
  readonly concurrency: number
  readonly entriesPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

class CountingMachine implements StateMachine<undefined> {
  #index = 0
  bytes = 0

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

/** Keeps `concurrency` proposals under way until `entries` are committed and applied here. */
async function load(
  raft: Raft<undefined>,
  { concurrency, entries, entryBytes }: Extract<ToPeer, { type: 'run' }>
): Promise<LoadResult> {
  const latencies = new Float64Array(entries)
  let begun = 0
  const worker = async (): Promise<void> => {
    while (begun < entries) {
      const slot = begun++
      const startMs = performance.now()
      await raft.propose(new Uint8Array(entryBytes))
      latencies[slot] = performance.now() - startMs
    }
  }
  const startMs = performance.now()
  await Promise.all(Array.from({ length: concurrency }, worker))
  const seconds = (performance.now() - startMs) / 1000
  latencies.sort()
  return {
    concurrency,
    entriesPerSecond: Math.round(entries / seconds),
    p50Ms: latencies[Math.floor(entries / 2)]!,
    p99Ms: latencies[Math.floor(entries * 0.99)]!
  }
}

async function main(): Promise<void> {
  let libp2p: Awaited<ReturnType<typeof createHost>> | undefined
  let raft: Raft<undefined> | undefined
  const handle = async (message: ToPeer): Promise<void> => {
    switch (message.type) {
      case 'open': {
        libp2p = await createHost({ secret: Buffer.from(message.secret, 'hex') })
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
          stateMachine: new CountingMachine(),
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
      case 'stop':
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
