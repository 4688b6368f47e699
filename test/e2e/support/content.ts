/** Content that tests add or ask for, and what is said and known of it. */

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type TrackerStatus, trackerStatuses } from '@quorate/client'
import { type Daemon, until } from './daemon.ts'

/** CID version 1, codec raw, sha2-256 of 32 bytes. */
const RAW_CID_PREFIX = [0x01, 0x55, 0x12, 0x20]
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567'

/** The CID of a block that nobody has: nobody can say what it hashes. */
export function absentCid(): string {
  const bits = [...RAW_CID_PREFIX, ...randomBytes(32)].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  const letters = bits.match(/.{1,5}/g) ?? []
  return `b${letters.map((group) => BASE32[Number.parseInt(group.padEnd(5, '0'), 2)]).join('')}`
}

/** The CIDs in a peer's pinset as it alone knows it. */
export async function allocationsOf(daemon: Daemon): Promise<Set<string>> {
  const cids = new Set<string>()
  for await (const { cid } of daemon.client.allocations()) cids.add(cid)
  return cids
}

/** A peer's own state of one CID. */
export async function localStatus(daemon: Daemon, cid: string): Promise<{ status: TrackerStatus; error: string }> {
  const { peerMap } = await daemon.client.status(cid, { local: true })
  const copy = peerMap[daemon.id]
  assert.ok(copy !== undefined && trackerStatuses.includes(copy.status), `${daemon.name} says nothing of ${cid}`)
  return copy
}

/** Waits until each peer says of its own copy that it is in this state. */
export async function untilStatus(
  daemons: readonly Daemon[],
  cid: string,
  wanted: TrackerStatus,
  timeoutMs?: number
): Promise<void> {
  for (const daemon of daemons) {
    await until(
      `${daemon.name} has ${cid} ${wanted}`,
      async () => {
        const { status, error } = await localStatus(daemon, cid)
        if (status === wanted) return true
        throw new Error(`it is ${status}${error === '' ? '' : `: ${error}`}`)
      },
      timeoutMs
    )
  }
}

/** The bytes of all files below a folder; files that go away meanwhile are not counted. */
export async function folderBytes(folder: string): Promise<number> {
  let bytes = 0
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    bytes += await stat(join(entry.parentPath, entry.name)).then(
      ({ size }) => size,
      () => 0
    )
  }
  return bytes
}

/** The bytes of a file, as one peer's IPFS node answers them. */
export async function readContent(daemon: Daemon, path: string): Promise<Buffer> {
  const response = await fetch(`${daemon.api}/ipfs/${path}`, { signal: AbortSignal.timeout(60_000) })
  const body = Buffer.from(await response.arrayBuffer())
  if (response.status !== 200) throw new Error(`${daemon.name} answers ${response.status} for ${path}: ${body}`)
  return body
}

/** Runs `work` while the processes of other peers are frozen, so that nothing can come from them. */
export async function whileFrozen<T>(daemons: readonly Daemon[], work: () => Promise<T>): Promise<T> {
  const pids = daemons.map(({ pid }) => pid).filter((pid) => pid !== undefined)
  try {
    for (const pid of pids) process.kill(pid, 'SIGSTOP')
    return await work()
  } finally {
    for (const pid of pids) process.kill(pid, 'SIGCONT')
  }
}
