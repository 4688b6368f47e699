/**
 * Sets in 16 bytes a member, outside the JavaScript heap. A `Set` of strings takes some 100 bytes an entry, and ends at 2^24 entries.
 *
 * There are two, because two things are asked. Which *blocks* are needed: those are known by their multihash (`MultihashSet`). Which *nodes*
 * a walk has passed: the same block read as raw bytes has no links and read as DAG-PB has some, so a node is a multihash with a codec
 * (`NodeSet`). To mistake one for the other would be to lose what lies below.
 *
 * Members are kept by the first half of their SHA-256, not by a part of the digest in them: a stranger can write a link with any digest
 * and any length, and must not be able to make one that passes for somebody else's block.
 */

import { createHash } from 'node:crypto'
import type { CID } from 'multiformats/cid'

const WORDS = 4
const INITIAL_SLOTS = 1024

class FingerprintSet {
  #slots: Uint32Array
  #count = 0

  constructor() {
    this.#slots = new Uint32Array(INITIAL_SLOTS * WORDS)
  }

  get size(): number {
    return this.#count
  }

  /** False if it was a member already. */
  addBytes(bytes: Uint8Array): boolean {
    const fingerprint = fingerprintOf(bytes)
    const at = find(this.#slots, fingerprint)
    if (at < 0) return false
    this.#slots.set(fingerprint, at)
    this.#count++
    if (this.#count * WORDS * 4 > this.#slots.length * 3) this.#grow()
    return true
  }

  hasBytes(bytes: Uint8Array): boolean {
    return find(this.#slots, fingerprintOf(bytes)) < 0
  }

  #grow(): void {
    const old = this.#slots
    const slots = new Uint32Array(old.length * 2)
    for (let i = 0; i < old.length; i += WORDS) {
      const fingerprint = old.subarray(i, i + WORDS)
      if (!isEmpty(old, i)) slots.set(fingerprint, find(slots, fingerprint))
    }
    this.#slots = slots
  }
}

/** Blocks, by multihash. */
export class MultihashSet extends FingerprintSet {
  /** False if it was a member already. */
  add(cid: CID): boolean {
    return this.addBytes(cid.multihash.bytes)
  }

  has(cid: CID): boolean {
    return this.hasBytes(cid.multihash.bytes)
  }
}

/** Nodes, by codec and multihash; the version of the CID makes no difference. */
export class NodeSet extends FingerprintSet {
  /** False if it was a member already. */
  add(cid: CID): boolean {
    return this.addBytes(cid.version === 1 ? cid.bytes : cid.toV1().bytes)
  }
}

function fingerprintOf(bytes: Uint8Array): Uint32Array {
  const hash = createHash('sha256').update(bytes).digest()
  return Uint32Array.of(hash.readUInt32LE(0), hash.readUInt32LE(4), hash.readUInt32LE(8), hash.readUInt32LE(12))
}

/** Four zero words mean an empty slot; no one will find bytes that hash to them. */
function isEmpty(slots: Uint32Array, at: number): boolean {
  return slots[at] === 0 && slots[at + 1] === 0 && slots[at + 2] === 0 && slots[at + 3] === 0
}

/** Where to put it, or -1 if it is there. Linear probing; at most three quarters of the slots are taken, so it ends. */
function find(slots: Uint32Array, fingerprint: Uint32Array): number {
  const slotCount = slots.length / WORDS
  let slot = (fingerprint[0] as number) & (slotCount - 1)
  for (;;) {
    const at = slot * WORDS
    if (isEmpty(slots, at)) return at
    if (
      slots[at] === fingerprint[0] &&
      slots[at + 1] === fingerprint[1] &&
      slots[at + 2] === fingerprint[2] &&
      slots[at + 3] === fingerprint[3]
    ) {
      return -1
    }
    slot = (slot + 1) & (slotCount - 1)
  }
}
