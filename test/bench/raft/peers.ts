/** Three peers of Quorate's consensus in processes of their own, and what they can be told to do. Used by `commits.ts` and `reads.ts`. */

import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FromPeer, PeerAddress, ToPeer } from '../../../packages/raft/test/bench/peer.ts'
import type { Figure, Load } from './loads.ts'

export interface LoadInit {
  /** Data goes below it; made if need be. */
  readonly folder: string
  readonly entries: number
  readonly entryBytes: number
}

const program = fileURLToPath(new URL('../../../packages/raft/test/bench/peer.ts', import.meta.url))

/** One process: a member, or one that only reads. */
export class BenchPeer {
  readonly #child: ChildProcess

  constructor() {
    this.#child = fork(program, { execArgv: ['--conditions=quorate-source', ...profilingArguments()] })
    // Each message that is waited for listens for the end of the process.
    this.#child.setMaxListeners(32)
  }

  say(message: ToPeer): void {
    this.#child.send(message)
  }

  /** Says something, and waits for the next message of the type. */
  ask<T extends FromPeer['type']>(message: ToPeer, type: T): Promise<Extract<FromPeer, { type: T }>> {
    const answer = this.hear(type)
    this.say(message)
    return answer
  }

  /** The next message of this type. */
  hear<T extends FromPeer['type']>(type: T): Promise<Extract<FromPeer, { type: T }>> {
    return new Promise((resolve, reject) => {
      const onExit = (code: number | null) => reject(new Error(`A peer ended with exit code ${code}`))
      const onMessage = (message: FromPeer) => {
        if (message.type !== type) return
        this.#child.off('message', onMessage)
        this.#child.off('exit', onExit)
        resolve(message as Extract<FromPeer, { type: T }>)
      }
      this.#child.on('message', onMessage)
      this.#child.on('exit', onExit)
    })
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return
    this.say({ type: 'stop' })
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5000)
    await once(this.#child, 'exit')
    clearTimeout(timer)
  }
}

/** `RAFT_BENCH_PROFILE` names a folder into which each process writes a CPU profile. */
function profilingArguments(): string[] {
  const folder = process.env.RAFT_BENCH_PROFILE
  return folder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${folder}`]
}

export interface BenchGroup {
  readonly leader: BenchPeer
  readonly followers: readonly BenchPeer[]
  /** Of the followers, in their order. */
  readonly addresses: readonly PeerAddress[]
  readonly secret: string
}

/** Runs `work` with a group of three that has a leader, and ends it. */
export async function withGroup<T>(folder: string, work: (group: BenchGroup) => Promise<T>): Promise<T> {
  const peers = [new BenchPeer(), new BenchPeer(), new BenchPeer()]
  try {
    const secret = randomBytes(32).toString('hex')
    const addresses = await Promise.all(
      peers.map(async (peer) => (await peer.ask({ type: 'open', secret }, 'opened')).peer)
    )
    const leading = Promise.race(
      peers.map(async (peer) => {
        await peer.hear('leading')
        return peer
      })
    )
    for (const [i, peer] of peers.entries()) peer.say({ type: 'start', folder: join(folder, `${i}`), peers: addresses })
    const leader = await leading
    const at = peers.indexOf(leader)
    return await work({ leader, followers: peers.toSpliced(at, 1), addresses: addresses.toSpliced(at, 1), secret })
  } finally {
    await Promise.all(peers.map((peer) => peer.stop()))
  }
}

/**
 * Puts the leader under each load in turn, once what runs is compiled.
 *
 * @param warmUp - loads that are not measured, each with so many entries
 */
export function runPeers(init: LoadInit, loads: readonly Load[], warmUp: readonly Load[]): Promise<Figure[]> {
  const { folder, entries, entryBytes } = init
  return withGroup(folder, async ({ leader }) => {
    const figures: Figure[] = []
    for (const [n, { name, concurrency, batch, share }] of [...warmUp, ...loads].entries()) {
      const count = Math.ceil(entries * share)
      const { result } = await leader.ask({ type: 'run', concurrency, batch, entries: count, entryBytes }, 'result')
      if (n >= warmUp.length) figures.push({ load: name, ...result })
    }
    return figures
  })
}
