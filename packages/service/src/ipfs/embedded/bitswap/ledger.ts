/**
 * What one peer wants of us. Wants that can be answered wait in a queue until the peer's stream can take the answer; wants for blocks
 * that are not here are remembered, and answered when the block arrives. Both are bounded: the oldest makes room.
 */

import { varint } from 'multiformats'
import { CID } from 'multiformats/cid'
import { blockKey } from '../../cids.ts'
import { type BlockPresence, DONT_HAVE, HAVE, type MessageBlock, WANT_HAVE, type WantEntry } from './message.ts'

/** As the other implementations. */
const MAX_WANTS = 1024
const MAX_CID_BYTES = 128
/** A message is full when it holds this much; one block more at most. */
const MESSAGE_BYTES = 512 * 1024
const MAX_PRESENCES = 1024
/** A block this small is sent instead of the answer that it is here. */
const SMALL_BLOCK_BYTES = 1024

/** The blocks of this node. */
export interface LocalBlocks {
  size(cid: CID): number | undefined
  get(cid: CID): Uint8Array | undefined
}

interface WantedBlock {
  readonly cid: CID
  readonly onlyHave: boolean
  readonly sendDontHave: boolean
}

export class Ledger {
  readonly #blocks: LocalBlocks
  /** To be answered, by block key, in the order of arrival. */
  readonly #queue = new Map<string, WantedBlock>()
  /** Wanted, but not here. */
  readonly #missing = new Map<string, WantedBlock>()

  constructor(blocks: LocalBlocks) {
    this.#blocks = blocks
  }

  get hasWork(): boolean {
    return this.#queue.size > 0
  }

  /** Takes note of what the peer asks for. What cannot be read is left out: the rest of the message may be good. */
  receive(wants: readonly WantEntry[], full: boolean): void {
    if (full) {
      this.#queue.clear()
      this.#missing.clear()
    }
    for (const want of wants) {
      let cid: CID
      try {
        if (want.cid.length > MAX_CID_BYTES) continue
        // The bytes are a view into a message that is not kept.
        cid = CID.decode(want.cid.slice())
      } catch {
        continue
      }
      const key = blockKey(cid)
      if (want.cancel) {
        this.#queue.delete(key)
        this.#missing.delete(key)
        continue
      }
      this.#missing.delete(key)
      // Being asked for the block replaces being asked whether it is here, not the other way round.
      const known = this.#queue.get(key)
      const onlyHave = want.wantType === WANT_HAVE && (known === undefined || known.onlyHave)
      remember(this.#queue, key, { cid, onlyHave, sendDontHave: want.sendDontHave })
    }
  }

  /** The block has arrived here. True if the peer waits for it. */
  notify(key: string): boolean {
    const want = this.#missing.get(key)
    if (want === undefined) return false
    this.#missing.delete(key)
    remember(this.#queue, key, want)
    return true
  }

  /** Answers from the front of the queue, for one message. */
  take(): { blocks: MessageBlock[]; presences: BlockPresence[] } {
    const blocks: MessageBlock[] = []
    const presences: BlockPresence[] = []
    let bytes = 0
    for (const [key, want] of this.#queue) {
      if (bytes >= MESSAGE_BYTES || presences.length >= MAX_PRESENCES) break
      this.#queue.delete(key)
      const size = this.#blocks.size(want.cid)
      if (size !== undefined && want.onlyHave && size > SMALL_BLOCK_BYTES) {
        presences.push({ cid: want.cid.bytes, type: HAVE })
        continue
      }
      const data = size === undefined ? undefined : this.#blocks.get(want.cid)
      if (data !== undefined) {
        blocks.push({ prefix: prefixOf(want.cid), data })
        bytes += data.length
        continue
      }
      remember(this.#missing, key, want)
      if (want.sendDontHave) presences.push({ cid: want.cid.bytes, type: DONT_HAVE })
    }
    return { blocks, presences }
  }
}

function remember(map: Map<string, WantedBlock>, key: string, want: WantedBlock): void {
  if (map.size >= MAX_WANTS && !map.has(key)) {
    const oldest = map.keys().next().value
    if (oldest !== undefined) map.delete(oldest)
  }
  map.set(key, want)
}

/** All of a CID but the digest, from which and from the data the receiver makes the CID. */
function prefixOf(cid: CID): Uint8Array {
  const numbers = [cid.version, cid.code, cid.multihash.code, cid.multihash.digest.length]
  const prefix = new Uint8Array(numbers.reduce((length, number) => length + varint.encodingLength(number), 0))
  let at = 0
  for (const number of numbers) {
    varint.encodeTo(number, prefix, at)
    at += varint.encodingLength(number)
  }
  return prefix
}
