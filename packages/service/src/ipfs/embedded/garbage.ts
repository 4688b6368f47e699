/**
 * Which blocks may be deleted, decided while pins, adds and reads go on. Mark and sweep: everything reachable from a pin is marked, and
 * what is not marked is deleted. Three things are kept besides, because they are needed although no finished pin says so:
 *
 * - blocks of uploads that have not been released (`Hold`);
 * - what is here of DAGs whose pinning is under way: their roots are marked like pins, as far as their blocks are here;
 * - every block that anybody asked for or stored since the collection began (`touch`).
 *
 * Why that is enough for a pin under way: take a block B that its walk relies on. If the walk looked at B after the collection began, B was
 * touched. If it did so before, then the parents of B were here by then, so that marking from the root finds B. Touching, and
 * "not touched, so delete", are both synchronous, so that one happens wholly before the other: a walk that looks at a block after
 * its deletion sees that it is missing and fetches it.
 */

import { base32 } from 'multiformats/bases/base32'
import type { CID } from 'multiformats/cid'
import { cidOfKey, inlineBytes } from '../cids.ts'
import type { BlockFolder } from './block-folder.ts'
import { walkDag } from './dag-walk.ts'
import { isLeafCodec, linksOf } from './links.ts'
import { MultihashSet, NodeSet } from './multihash-set.ts'
import type { PinStore, StoredPin } from './pin-store.ts'
import { Semaphore } from './semaphore.ts'

/** Keeps blocks until it is released. */
export class Hold {
  readonly blocks = new MultihashSet()
}

export interface GarbageComponents {
  readonly folder: BlockFolder
  readonly pins: PinStore
}

export class Garbage {
  readonly #folder: BlockFolder
  readonly #pins: PinStore
  readonly #holds = new Set<Hold>()
  readonly #pinning = new Map<object, StoredPin>()
  readonly #one = new Semaphore(1)
  /** What was touched since the running collection began; undefined if none runs. */
  #touched: MultihashSet | undefined

  constructor(components: GarbageComponents) {
    this.#folder = components.folder
    this.#pins = components.pins
  }

  hold(): Hold {
    const hold = new Hold()
    this.#holds.add(hold)
    return hold
  }

  release(hold: Hold): void {
    this.#holds.delete(hold)
  }

  /** Runs a pin whose blocks must not be collected meanwhile. */
  async whilePinning<T>(pin: StoredPin, work: () => Promise<T>): Promise<T> {
    const token = {}
    this.#pinning.set(token, pin)
    try {
      return await work()
    } finally {
      this.#pinning.delete(token)
    }
  }

  /** To be called before looking for a block that is to be relied on, without waiting in between. */
  touch(cid: CID): void {
    this.#touched?.add(cid)
  }

  /** Deletes what nothing needs; yields each. One collection at a time. @throws when a block cannot be read: better to keep too much */
  async *collect(signal: AbortSignal): AsyncGenerator<{ cid: CID; bytes: number }> {
    const done = await this.#one.acquire()
    try {
      signal.throwIfAborted()
      const touched = new MultihashSet()
      this.#touched = touched
      const marked = await this.#mark(signal)
      for (const shard of this.#folder.shards()) {
        signal.throwIfAborted()
        const removed: { cid: CID; bytes: number }[] = []
        for (const { key, bytes } of this.#folder.listShard(shard)) {
          const multihash = decodeKey(key)
          if (multihash === undefined || marked.hasBytes(multihash) || touched.hasBytes(multihash)) continue
          if (this.#isHeld(multihash)) continue
          const freed = this.#folder.delete(key, bytes)
          if (freed > 0) removed.push({ cid: cidOfKey(key), bytes: freed })
        }
        yield* removed
        // A shard is a few hundred files: let the network have a turn between two of them.
        await new Promise((resolve) => setImmediate(resolve))
      }
    } finally {
      this.#touched = undefined
      done()
    }
  }

  #isHeld(multihash: Uint8Array): boolean {
    for (const hold of this.#holds) if (hold.blocks.hasBytes(multihash)) return true
    return false
  }

  async #mark(signal: AbortSignal): Promise<MultihashSet> {
    const marked = new MultihashSet()
    const seen = new NodeSet()
    const here = (cid: CID): Uint8Array | undefined => inlineBytes(cid) ?? this.#folder.get(cid)
    const walk = (root: CID, linked: (cid: CID) => Uint8Array | undefined) =>
      walkDag({
        root,
        seen,
        visit: async (cid) => {
          marked.add(cid)
          return isLeafCodec(cid) ? undefined : linked(cid)
        },
        reread: async (cid) => here(cid) ?? new Uint8Array(),
        signal
      })
    for (const pin of [...this.#pinning.values()]) {
      // What is not here yet, or turns out to be malformed, ends its branch: the walk of the pin cannot have passed it either.
      if (pin.mode === 'recursive') await walk(pin.cid, (cid) => followable(cid, here(cid)))
      else marked.add(pin.cid)
    }
    for await (const pin of this.#pins.list()) {
      if (pin.mode === 'recursive') await walk(pin.cid, here)
      else marked.add(pin.cid)
    }
    return marked
  }
}

function followable(cid: CID, bytes: Uint8Array | undefined): Uint8Array | undefined {
  if (bytes === undefined) return undefined
  try {
    linksOf(cid, bytes)
    return bytes
  } catch {
    return undefined
  }
}

/** Undefined for a file that is none of ours. */
function decodeKey(key: string): Uint8Array | undefined {
  try {
    return base32.decode(`b${key}`)
  } catch {
    return undefined
  }
}
