/**
 * The pin set of the embedded node: which roots it keeps, and how. Nothing else is stored about a pin; in particular no counters of
 * how many pins need a block, because counters that are kept beside the data drift from it (Helia's do: after add A, add B, remove A,
 * add A, remove B its collector deletes a block that A needs). What a pin needs is found by walking it, when garbage is collected.
 *
 * LevelDB through `datastore-level`; writes are synced, so a pin that was answered survives a loss of power. Reached by its `db`, because
 * the datastore interface has no synced write and no order. Key: `/pin/` and the CID's bytes in base32. Two CIDs of one block are two
 * pins, as in Kubo: read with another codec the same block has other links. Value: mode letter and the CID's bytes.
 */

import { join } from 'node:path'
import type { CidString, PinMode } from '@quorate/client/api'
import { LevelDatastore } from 'datastore-level'
import { base32 } from 'multiformats/bases/base32'
import { CID } from 'multiformats/cid'

const PREFIX = '/pin/'
const PREFIX_END = '/pin0'
const SIZE_KEY = '/repo/bytes'
const RECURSIVE = 0x72
const DIRECT = 0x64

export interface StoredPin {
  readonly cid: CID
  readonly mode: PinMode
}

export class PinStore {
  readonly #store: LevelDatastore

  constructor(folder: string) {
    this.#store = new LevelDatastore(join(folder, 'pins'))
  }

  async open(): Promise<void> {
    await this.#store.open()
  }

  async close(): Promise<void> {
    await this.#store.close()
  }

  async get(cid: CID): Promise<PinMode | undefined> {
    const value = await this.#store.db.get(keyOf(cid))
    return value === undefined ? undefined : decode(value).mode
  }

  /** Durable when it resolves. */
  async put(cid: CID, mode: PinMode): Promise<void> {
    const value = new Uint8Array(1 + cid.bytes.length)
    value[0] = mode === 'recursive' ? RECURSIVE : DIRECT
    value.set(cid.bytes, 1)
    await this.#store.db.batch([{ type: 'put', key: keyOf(cid), value }], { sync: true })
  }

  /** Durable when it resolves. */
  async delete(cid: CID): Promise<void> {
    await this.#store.db.batch([{ type: 'del', key: keyOf(cid) }], { sync: true })
  }

  /** As of the moment of the call. */
  async *list(): AsyncGenerator<StoredPin> {
    for await (const value of this.#store.db.values({ gt: PREFIX, lt: PREFIX_END })) yield decode(value)
  }

  /** The size of all blocks when the node last stopped in order; undefined after a crash. Reading it forgets it. */
  async takeRepoBytes(): Promise<number | undefined> {
    const value = await this.#store.db.get(SIZE_KEY)
    if (value === undefined) return undefined
    await this.#store.db.batch([{ type: 'del', key: SIZE_KEY }], { sync: true })
    const bytes = Number(new TextDecoder().decode(value))
    return Number.isSafeInteger(bytes) && bytes >= 0 ? bytes : undefined
  }

  async putRepoBytes(bytes: number): Promise<void> {
    await this.#store.db.batch([{ type: 'put', key: SIZE_KEY, value: new TextEncoder().encode(String(bytes)) }], {
      sync: true
    })
  }
}

const keyOf = (cid: CID): string => PREFIX + base32.encode(cid.bytes)

function decode(value: Uint8Array): StoredPin {
  return { mode: value[0] === RECURSIVE ? 'recursive' : 'direct', cid: CID.decode(value.slice(1)) }
}

/** A pin as `pinLs` lists it. */
export interface PinLine {
  readonly cid: CidString
  readonly mode: PinMode
}

export function pinLine(pin: StoredPin): PinLine {
  return { cid: pin.cid.toString(), mode: pin.mode }
}
