/**
 * Where `PeersSeen` outlives a restart: a small checked file, replaced by rename and not synced. A damaged or missing one is an empty
 * table: it only ever adds to what the peers' own counts say. The application opens it before the transport and closes it after.
 */

import { readFile, rename, writeFile } from 'node:fs/promises'
import type { NodeId } from '../core/types.ts'
import { decodeCheckedJson, encodeCheckedJson } from '../storage/checked-json.ts'
import { PeersSeen, type Seen } from './peers-seen.ts'

/** How often a table that changed is written. */
const WRITE_INTERVAL_MS = 1_000

export interface SeenFile {
  readonly seen: PeersSeen
  /** Writes what changed last, and stops. Never rejects. */
  close(): Promise<void>
}

/** @param path - of the file; its folder is there */
export async function openSeenFile(path: string): Promise<SeenFile> {
  const seen = new PeersSeen(await read(path))
  let written = seen.changeCount
  let writing: Promise<void> | undefined
  const write = (): Promise<void> => {
    const { changeCount } = seen
    if (changeCount === written) return Promise.resolve()
    const content = encodeCheckedJson([...seen.entries()].map(([name, { lost, ...rest }]) => toRow(name, rest, lost)))
    return writeFile(`${path}.tmp`, content, { mode: 0o600 })
      .then(() => rename(`${path}.tmp`, path))
      .then(() => {
        written = changeCount
      })
      .catch(() => undefined)
  }
  const timer = setInterval(() => {
    writing ??= write().finally(() => {
      writing = undefined
    })
  }, WRITE_INTERVAL_MS)
  timer.unref()
  return {
    seen,
    close: async () => {
      clearInterval(timer)
      await writing
      await write()
    }
  }
}

const toRow = (name: NodeId, seen: Omit<Seen, 'lost'>, lost: string | undefined): object =>
  lost === undefined ? { name, ...seen } : { name, ...seen, lost }

async function read(path: string): Promise<[NodeId, Seen][]> {
  const bytes = await readFile(path).catch(() => undefined)
  const rows = bytes === undefined ? undefined : decodeCheckedJson(bytes)
  if (!Array.isArray(rows)) return []
  // Its checksum is right, so this program wrote it; what another version wrote may lack something.
  return (rows as Partial<Seen & { name: NodeId }>[]).flatMap(({ name, ...seen }): [NodeId, Seen][] => {
    const { boot, bootId, term, matchTerm = 0, matchIndex = 0, lost } = seen
    if (name === undefined || boot === undefined || bootId === undefined || term === undefined) return []
    return [[name, { boot, bootId, term, matchTerm, matchIndex, lost }]]
  })
}
