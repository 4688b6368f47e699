/**
 * The links of a block, by its codec: what has to be here as well when the block is pinned. Bytes come from strangers; whatever they
 * hold, this returns or throws `IpfsRequestError`. Called by the walk (`dag-walk.ts`).
 */

import { decode as decodeCbor } from '@ipld/dag-cbor'
import { decode as decodePb } from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import { DAG_CBOR, DAG_JSON, DAG_PB, RAW } from '../cids.ts'
import { IpfsRequestError } from '../errors.ts'

/** Codecs whose blocks hold no links: raw, plain CBOR, plain JSON, and the signed records of libp2p. */
const LEAF_CODECS: ReadonlySet<number> = new Set([RAW, 0x51, 0x0200, 0x72])

/** @throws {IpfsRequestError} `unsupported` if what the block links to cannot be known */
export function assertCodecKnown(cid: CID): void {
  if (LEAF_CODECS.has(cid.code) || cid.code === DAG_PB || cid.code === DAG_CBOR || cid.code === DAG_JSON) return
  throw new IpfsRequestError(
    `cannot follow the links of ${cid}: codec 0x${cid.code.toString(16)} is not supported`,
    'unsupported'
  )
}

/** True if no block of this codec has links, so that it need not be read. */
export function isLeafCodec(cid: CID): boolean {
  return LEAF_CODECS.has(cid.code)
}

/** In the order of the block. @throws {IpfsRequestError} `unsupported`, or `corrupt` if the bytes are not of the codec */
export function linksOf(cid: CID, bytes: Uint8Array): CID[] {
  assertCodecKnown(cid)
  if (isLeafCodec(cid)) return []
  try {
    if (cid.code === DAG_PB) return decodePb(bytes).Links.map((link) => link.Hash)
    const links: CID[] = []
    collect(
      cid.code === DAG_CBOR ? decodeCbor(bytes) : JSON.parse(new TextDecoder().decode(bytes)),
      cid.code === DAG_JSON,
      links
    )
    return links
  } catch (cause) {
    throw new IpfsRequestError(`block ${cid} is malformed: ${(cause as Error).message}`, 'corrupt', { cause })
  }
}

/** Without recursion: the depth of a value is a stranger's choice. */
function collect(root: unknown, isJson: boolean, links: CID[]): void {
  const stack: unknown[] = [root]
  while (stack.length > 0) {
    const value = stack.pop()
    if (typeof value !== 'object' || value === null || value instanceof Uint8Array) continue
    const cid = CID.asCID(value)
    if (cid !== null) {
      links.push(cid)
      continue
    }
    if (Array.isArray(value)) {
      for (let i = value.length - 1; i >= 0; i--) stack.push(value[i])
      continue
    }
    // DAG-JSON writes a link as {"/": "<cid>"}, and bytes as {"/": {"bytes": …}}.
    const slash: unknown = isJson ? (value as Record<string, unknown>)['/'] : undefined
    if (slash !== undefined && Object.keys(value).length === 1) {
      if (typeof slash === 'string') links.push(CID.parse(slash))
      continue
    }
    const children = Object.values(value)
    for (let i = children.length - 1; i >= 0; i--) stack.push(children[i])
  }
}
