/**
 * Three members of etcd on loopback and linearizable range reads through a follower of them, by a client that is no part of this
 * repository. Used by `reads.ts`.
 *
 * The client is called as `CLIENT -endpoint 127.0.0.1:PORT -readers 256 -conns 1,4,16 -seconds 5 -size 256`, puts one value, and for each
 * number of connections prints a line as `{"connections":4,"readsPerSecond":15000,"p50Ms":16.1,"p99Ms":40.2}`.
 */

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort, until } from '../../e2e/support/daemon.ts'

export interface EtcdInit {
  /** The program `etcd`. */
  readonly program: string
  /** The client. */
  readonly client: string
  /** Made if need be. */
  readonly folder: string
  readonly readers: number
  readonly seconds: number
  readonly valueBytes: number
}

export interface EtcdFigure {
  readonly connections: number
  readonly readsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

const MEMBERS = [0, 1, 2]
/** Streams over one connection hold each other up, and many connections cost more: whichever number suits etcd best counts. */
const CONNECTIONS = '1,4,16'

interface Status {
  readonly leader: string
  readonly header: { readonly member_id: string }
}

/** @returns one figure for each number of connections */
export async function readFromEtcd(init: EtcdInit): Promise<readonly EtcdFigure[]> {
  await mkdir(init.folder, { recursive: true })
  const peerPorts = await Promise.all(MEMBERS.map(freePort))
  const clientPorts = await Promise.all(MEMBERS.map(freePort))
  const urlOf = (port: number): string => `http://127.0.0.1:${port}`
  const cluster = MEMBERS.map((n) => `m${n}=${urlOf(peerPorts[n]!)}`).join()
  const members = MEMBERS.map((n) =>
    spawn(
      init.program,
      [
        ...['--name', `m${n}`, '--data-dir', join(init.folder, `m${n}`)],
        ...['--listen-peer-urls', urlOf(peerPorts[n]!), '--initial-advertise-peer-urls', urlOf(peerPorts[n]!)],
        ...['--listen-client-urls', urlOf(clientPorts[n]!), '--advertise-client-urls', urlOf(clientPorts[n]!)],
        ...['--initial-cluster', cluster, '--initial-cluster-state', 'new', '--log-level', 'error']
      ],
      { stdio: 'ignore' }
    )
  )
  try {
    const port = await until('etcd has a leader', () => followerAmong(clientPorts), 30_000)
    const words = ['-endpoint', `127.0.0.1:${port}`, '-readers', `${init.readers}`, '-conns', CONNECTIONS]
    const { stdout } = await promisify(execFile)(init.client, [
      ...words,
      ...['-seconds', `${init.seconds}`, '-size', `${init.valueBytes}`]
    ])
    return stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as EtcdFigure)
  } finally {
    await Promise.all(members.map(end))
  }
}

/** The port of a member that does not lead, once one leads. */
async function followerAmong(ports: readonly number[]): Promise<number | undefined> {
  for (const port of ports) {
    const response = await fetch(`http://127.0.0.1:${port}/v3/maintenance/status`, { method: 'POST', body: '{}' })
    const { leader, header } = (await response.json()) as Status
    if (leader === undefined || leader === '0') return undefined
    if (leader !== header.member_id) return port
  }
  return undefined
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  if (child.kill('SIGKILL')) await gone
}
