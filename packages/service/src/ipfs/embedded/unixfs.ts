/**
 * Reading files and paths from blocks, with `ipfs-unixfs-exporter`. Used by the embedded node for `cat` and `resolve`.
 */

import type { UnixFSEntry } from 'ipfs-unixfs-exporter'
import type { CID } from 'multiformats/cid'
import { parseCid } from '../cids.ts'
import { IpfsRequestError } from '../errors.ts'

/** Blocks of a file that are fetched ahead of the reader. */
const READ_AHEAD_BLOCKS = 8

export type ReadBlock = (cid: CID, signal: AbortSignal) => Promise<Uint8Array>

/** The shape of a block store that the exporter reads from. */
function storage(read: ReadBlock, signal: AbortSignal) {
  return {
    async *get(cid: CID): AsyncGenerator<Uint8Array> {
      yield await read(cid, signal)
    }
  }
}

async function entryAt(path: string | CID, read: ReadBlock, signal: AbortSignal): Promise<UnixFSEntry> {
  const { exporter } = await import('ipfs-unixfs-exporter')
  try {
    return await exporter(path, storage(read, signal), { signal })
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof IpfsRequestError) throw error
    const notFound = (error as Error).name === 'NotFoundError'
    const reason = notFound ? 'there is no such link' : (error as Error).message
    throw new IpfsRequestError(`cannot resolve ${path}: ${reason}`, notFound ? 'not-found' : 'failed', { cause: error })
  }
}

/** @throws {IpfsRequestError} when it is not a file */
export async function* readFile(cid: CID, read: ReadBlock, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const entry = await entryAt(cid, read, signal)
  if (entry.type !== 'file' && entry.type !== 'raw' && entry.type !== 'identity') {
    throw new IpfsRequestError(`cannot read ${cid}: it is a ${entry.type}, not a file`, 'bad-request')
  }
  yield* entry.content({ signal, blockReadConcurrency: READ_AHEAD_BLOCKS })
}

/** The CID at the end of `/ipfs/<cid>/a/b`, or of the same without `/ipfs/`. @throws {IpfsRequestError} */
export async function resolvePath(path: string, read: ReadBlock, signal: AbortSignal): Promise<CID> {
  const parts = path.split('/').filter((part) => part !== '')
  if (parts[0] === 'ipns') {
    throw new IpfsRequestError(`cannot resolve ${path}: the embedded node does not resolve IPNS names`, 'unsupported')
  }
  if (parts[0] === 'ipfs') parts.shift()
  const root = parts.shift()
  if (root === undefined) throw new IpfsRequestError(`cannot resolve "${path}": it names no CID`, 'bad-request')
  const cid = parseCid(root)
  if (parts.length === 0) return cid
  return (await entryAt([cid.toString(), ...parts].join('/'), read, signal)).cid
}
