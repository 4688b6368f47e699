/** Three peers of Quorate's consensus in processes of their own, put under load. Used by `run.ts`. */

import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FromPeer, PeerAddress, ToPeer } from '../../../packages/raft/test/bench/peer.ts'
import { CONCURRENCIES, type Figure } from './figures.ts'

export interface LoadInit {
  /** Data goes below it; made if need be. */
  readonly folder: string
  readonly entries: number
  readonly entryBytes: number
}

const program = fileURLToPath(new URL('../../../packages/raft/test/bench/peer.ts', import.meta.url))

class Peer {
  readonly #child: ChildProcess
  leading = false

  constructor() {
    this.#child = fork(program, { execArgv: ['--conditions=quorate-source', ...profilingArguments()] })
    this.#child.on('message', (message: FromPeer) => {
      if (message.type === 'leading') this.leading = true
    })
  }

  say(message: ToPeer): void {
    this.#child.send(message)
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

export async function runPeers({ folder, entries, entryBytes }: LoadInit): Promise<Figure[]> {
  const peers = [new Peer(), new Peer(), new Peer()]
  try {
    const secret = randomBytes(32).toString('hex')
    const addresses: PeerAddress[] = await Promise.all(
      peers.map(async (peer) => {
        const opened = peer.hear('opened')
        peer.say({ type: 'open', secret })
        return (await opened).peer
      })
    )
    const leading = Promise.race(
      peers.map(async (peer) => {
        await peer.hear('leading')
        return peer
      })
    )
    for (const [i, peer] of peers.entries()) peer.say({ type: 'start', folder: join(folder, `${i}`), peers: addresses })
    const leader = await leading
    const figures: Figure[] = []
    for (const concurrency of CONCURRENCIES) {
      const result = leader.hear('result')
      const count = concurrency === 1 ? Math.ceil(entries / 30) : entries
      leader.say({ type: 'run', concurrency, entries: count, entryBytes })
      figures.push((await result).result)
    }
    return figures
  } finally {
    await Promise.all(peers.map((peer) => peer.stop()))
  }
}
