/**
 * The peers of a run: real daemons, in namespaces and with small disks where there are such. Knows which of them were ended on purpose, keeps what
 * each of their processes wrote, and answers whether all of them serve and agree. Used by `faults.ts` and `run.ts`.
 */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkout, Daemon, READY, secret, until } from '../e2e/support/daemon.ts'
import { SmallDisk } from './disk.ts'
import { PeerNetwork } from './network.ts'

/** A process may run for as long as it likes. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** `role` lines of the log, as `role=leader term=7`. */
const ROLE = /role=(\w+) term=(\d+)/g

/** An end of a process that no fault asked for. */
export interface UnexpectedEnd {
  readonly peer: string
  readonly code: number | null
  readonly lastLines: string
}

export class NemesisPeer {
  readonly at: number
  readonly daemon: Daemon
  readonly disk: SmallDisk | undefined
  readonly ends: UnexpectedEnd[] = []
  private readonly logFolder: string
  private starts = 0
  /** The process is being ended on purpose. */
  private ending = false
  /** Its data are being worked on. */
  private held = false

  constructor(at: number, daemon: Daemon, disk: SmallDisk | undefined, logFolder: string) {
    this.at = at
    this.daemon = daemon
    this.disk = disk
    this.logFolder = logFolder
  }

  get name(): string {
    return this.daemon.name
  }

  get api(): string {
    return this.daemon.api
  }

  /** Where the consensus data lies. */
  get raftFolder(): string {
    return join(this.disk?.folder ?? this.daemon.folder, 'raft')
  }

  get running(): boolean {
    return this.daemon.pid !== undefined
  }

  /** Whether this process has said that it serves. */
  get ready(): boolean {
    return this.running && this.daemon.log.includes(READY)
  }

  /** Starts the daemon unless it runs, or is started later by who works on its data. */
  start(args: readonly string[] = []): void {
    if (this.running || this.held) return
    this.ending = false
    const start = ++this.starts
    this.daemon.start(args)
    void this.daemon.exited(LONGEST_TIMER_MS).then(
      async (code) => {
        const { log } = this.daemon
        // One that is not READY yet gives up when it finds no leader in time, as it says in its manual.
        const gaveUp = code === 1 && !log.includes(READY)
        if (!this.ending && !gaveUp) {
          this.ends.push({ peer: this.name, code, lastLines: lastLinesOf(log) })
        }
        await this.saveLog(start, log)
      },
      () => undefined
    )
  }

  /** Ends the process with a signal, on purpose. @returns its exit code */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    this.ending = true
    return await this.daemon.stop(signal)
  }

  /** Kills the process, does something to what it left, and starts it again. A fault that comes at the same time does not start it meanwhile. */
  async whileEnded(work: () => Promise<void>): Promise<void> {
    this.held = true
    try {
      await this.end('SIGKILL')
      await work()
    } finally {
      this.held = false
      this.start()
    }
  }

  signal(signal: NodeJS.Signals): void {
    if (this.daemon.pid !== undefined) process.kill(this.daemon.pid, signal)
  }

  /** The term in which this process last led, if it still does by its own account. */
  ledTerm(): number | undefined {
    if (!this.running) return undefined
    let last: RegExpMatchArray | undefined
    for (const match of this.daemon.log.matchAll(ROLE)) last = match
    return last?.[1] === 'leader' ? Number(last[2]) : undefined
  }

  private async saveLog(start: number, log: string): Promise<void> {
    await writeFile(join(this.logFolder, `${this.name}.${start}.log`), log).catch(() => undefined)
  }
}

export interface ClusterInit {
  readonly count: number
  /** Where the logs of the processes go. */
  readonly logFolder: string
  readonly network: boolean
  readonly disks: boolean
}

export class NemesisCluster {
  readonly peers: readonly NemesisPeer[]
  readonly network: PeerNetwork | undefined
  private readonly folder: string

  private constructor(peers: readonly NemesisPeer[], network: PeerNetwork | undefined, folder: string) {
    this.peers = peers
    this.network = network
    this.folder = folder
  }

  /** Makes the peers and joins them. What was made is removed again when that fails. */
  static async create(init: ClusterInit): Promise<NemesisCluster> {
    const folder = await mkdtemp(join(tmpdir(), 'quorate-nemesis-disks-'))
    const peers: NemesisPeer[] = []
    const network = init.network ? await PeerNetwork.create(init.count) : undefined
    const cluster = new NemesisCluster(peers, network, folder)
    try {
      const env = { CLUSTER_SECRET: secret() }
      for (let at = 0; at < init.count; at++) {
        const disk = init.disks ? await SmallDisk.mount(join(folder, `${at + 1}`)) : undefined
        const daemon = await Daemon.init({
          name: `peer${at + 1}`,
          env: disk === undefined ? env : { ...env, CLUSTER_RAFT_DATAFOLDER: join(disk.folder, 'raft') },
          ...(network === undefined
            ? {}
            : {
                host: network.host(at),
                programs: { ...checkout, service: [...network.prefix(at), ...checkout.service] }
              })
        })
        peers.push(new NemesisPeer(at, daemon, disk, init.logFolder))
      }
      for (const peer of peers) {
        peer.start(peer === peers[0] ? [] : ['--bootstrap', peers[0]!.daemon.address])
        await peer.daemon.ready()
      }
      return cluster
    } catch (error) {
      await cluster.remove()
      throw error
    }
  }

  /** Who leads by the logs: of several that believe to, the one of the highest term. */
  leader(): NemesisPeer | undefined {
    const terms = this.peers.map((peer) => ({ peer, term: peer.ledTerm() ?? -1 }))
    return terms.sort((a, b) => b.term - a.term).find(({ term }) => term >= 0)?.peer
  }

  /** Starts whoever does not run. @returns their names */
  startAgain(): readonly string[] {
    const down = this.peers.filter(({ running }) => !running)
    for (const peer of down) peer.start()
    return down.map(({ name }) => name)
  }

  /** Waits until every peer by itself has the same pins under the same names. @returns how many */
  async agreed(timeoutMs: number): Promise<number> {
    return await until(
      'all peers have the same pins',
      async () => {
        const [first, ...others] = await Promise.all(this.peers.map(({ daemon }) => pinsOf(daemon)))
        for (const [at, other] of others.entries()) {
          const differing = [...new Set([...first!.keys(), ...other.keys()])].filter(
            (cid) => first!.get(cid) !== other.get(cid)
          )
          if (differing.length > 0) {
            const cid = differing[0]!
            throw new Error(
              `${differing.length} differ, as ${cid}: ${String(first!.get(cid))} at ${this.peers[0]!.name}, ${String(other.get(cid))} at ${this.peers[at + 1]!.name}`
            )
          }
        }
        return first!
      },
      timeoutMs
    ).then((pins) => pins.size)
  }

  unexpectedEnds(): readonly UnexpectedEnd[] {
    return this.peers.flatMap(({ ends }) => ends)
  }

  /** Ends every process in order. @returns the exit code of each */
  async stop(): Promise<readonly { readonly peer: string; readonly code: number | null }[]> {
    return await Promise.all(this.peers.map(async (peer) => ({ peer: peer.name, code: await peer.end('SIGTERM') })))
  }

  /** Ends and removes whatever is left. */
  async remove(): Promise<void> {
    await Promise.all(this.peers.map((peer) => peer.end('SIGKILL')))
    await Promise.all(this.peers.map(({ daemon }) => daemon.remove()))
    await Promise.all(this.peers.map(({ disk }) => disk?.unmount()))
    await this.network?.close()
    await rm(this.folder, { recursive: true, force: true })
  }
}

/** What a peer has by itself, names by CID. */
async function pinsOf(daemon: Daemon): Promise<ReadonlyMap<string, string>> {
  const names = new Map<string, string>()
  for await (const { cid, name } of daemon.client.allocations()) names.set(cid, name)
  return names
}

const lastLinesOf = (log: string): string => log.trimEnd().split('\n').slice(-8).join('\n')
