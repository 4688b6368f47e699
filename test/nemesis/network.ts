/**
 * A network of the run's own: each peer in a network namespace with one address, all joined by a bridge in the sandbox (`sandbox.ts`), where the
 * clients are. Only `ip` is needed, no packet filter: every host has a fixed hardware address for every other, and packets from one to another are lost
 * when that address is replaced by one that nobody has. That is a loss of one direction only, and nobody is told of it, as with a broken cable.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readlink } from 'node:fs/promises'
import { run, until } from '../e2e/support/daemon.ts'
import { whyNot } from './sandbox.ts'

const BRIDGE = 'nemesis'
const NET = '10.91.0'
/** Does nothing but keep a namespace there. */
const HOLDER = ['unshare', '--net', 'sleep', 'infinity'] as const
const NOBODY = '02:00:00:00:00:fe'

const hardwareAddress = (at: number): string => `02:00:00:00:00:${(at + 1).toString(16).padStart(2, '0')}`

/** From one peer to another, by their positions. */
export interface Direction {
  readonly from: number
  readonly to: number
}

export class PeerNetwork {
  private readonly holders: readonly ChildProcess[]

  private constructor(holders: readonly ChildProcess[]) {
    this.holders = holders
  }

  /** Why there can be no such network; undefined if there can. */
  static async missing(): Promise<string | undefined> {
    const bridge = await whyNot(['ip', 'link', 'add', BRIDGE, 'type', 'bridge'])
    return bridge ?? (await whyNot(['nsenter', '--version']))
  }

  /** Makes namespaces, links and addresses for `count` peers. The bridge is there. */
  static async create(count: number): Promise<PeerNetwork> {
    const [program, ...words] = HOLDER
    const holders = Array.from({ length: count }, () => spawn(program, words, { stdio: 'ignore' }))
    const network = new PeerNetwork(holders)
    try {
      const own = await readlink('/proc/self/ns/net')
      for (const { pid } of holders) {
        await until('a network namespace is there', async () => (await readlink(`/proc/${pid}/ns/net`)) !== own, 10_000)
      }
      await ip(
        [],
        [`addr add ${NET}.254/24 dev ${BRIDGE}`, `link set ${BRIDGE} up`].concat(
          holders.flatMap(({ pid }, at) => [
            `link add peer${at} type veth peer name eth0 address ${hardwareAddress(at)} netns ${pid}`,
            `link set peer${at} master ${BRIDGE} up`
          ])
        )
      )
      for (const at of holders.keys()) {
        await ip(network.prefix(at), ['link set lo up', `addr add ${network.host(at)}/24 dev eth0`, 'link set eth0 up'])
      }
      await network.heal()
      return network
    } catch (error) {
      await network.close()
      throw error
    }
  }

  host(at: number): string {
    return `${NET}.${at + 1}`
  }

  /** The words before a command that is to run at a peer. */
  prefix(at: number): readonly string[] {
    return ['nsenter', `--net=/proc/${this.holders[at]!.pid}/ns/net`]
  }

  /** From now on these directions lose everything, and no others do. */
  async lose(lost: readonly Direction[]): Promise<void> {
    await Promise.all(
      [...this.holders.keys()].map((from) =>
        ip(
          this.prefix(from),
          [...this.holders.keys()].flatMap((to) => {
            if (to === from) return []
            const cut = lost.some((direction) => direction.from === from && direction.to === to)
            return [
              `neigh replace ${this.host(to)} lladdr ${cut ? NOBODY : hardwareAddress(to)} nud permanent dev eth0`
            ]
          })
        )
      )
    )
  }

  heal(): Promise<void> {
    return this.lose([])
  }

  /** Ends the namespaces; interfaces go with them. */
  async close(): Promise<void> {
    await Promise.all(
      this.holders.map(async (holder) => {
        if (holder.exitCode !== null || holder.signalCode !== null) return
        const end = once(holder, 'exit')
        holder.kill('SIGKILL')
        await end
      })
    )
    await run(['ip', 'link', 'del', BRIDGE], [])
  }
}

async function ip(prefix: readonly string[], lines: readonly string[]): Promise<void> {
  const { code, stderr } = await run([...prefix, 'ip', '-batch', '-'], [], { input: `${lines.join('\n')}\n` })
  if (code !== 0) throw new Error(`Cannot set up the network: ip ended with ${code}: ${stderr.trim()}`)
}
