/**
 * A set of multihashes in 16 bytes each, outside the JavaScript heap: what a walk has seen, what garbage collection must keep. A `Set` of
 * strings takes some 100 bytes an entry, and ends at 2^24 entries.
 *
 * Members are kept by the first half of the SHA-256 of the whole multihash, not by a part of the digest itself: a stranger can write a link
 * with any digest and any length, and must not be able to make one that passes for somebody else's block.
 */

import { createHash } from 'node:crypto'
import type { CID } from 'multiformats/cid'

const WORDS = 4
const INITIAL_SLOTS = 1024

export class MultihashSet {
  #slots: Uint32Array
  #count = 0

  constructor() {
    this.#slots = new Uint32Array(INITIAL_SLOTS * WORDS)
  }

  get size(): number {
    return this.#count
  }

  /** False if it was a member already. */
  add(cid: CID): boolean {
    return this.addBytes(cid.multihash.bytes)
  }

  addBytes(multihash: Uint8Array): boolean {
    const fingerprint = fingerprintOf(multihash)
    const at = find(this.#slots, fingerprint)
    if (at < 0) return false
    this.#slots.set(fingerprint, at)
    this.#count++
    if (this.#count * WORDS * 4 > this.#slots.length * 3) this.#grow()
    return true
  }

  has(cid: CID): boolean {
    return this.hasBytes(cid.multihash.bytes)
  }

  hasBytes(multihash: Uint8Array): boolean {
    return find(this.#slots, fingerprintOf(multihash)) < 0
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

function fingerprintOf(multihash: Uint8Array): Uint32Array {
  const hash = createHash('sha256').update(multihash).digest()
  return Uint32Array.of(hash.readUInt32LE(0), hash.readUInt32LE(4), hash.readUInt32LE(8), hash.readUInt32LE(12))
}

/** Four zero words mean an empty slot; no one will find a multihash that hashes to them. */
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
