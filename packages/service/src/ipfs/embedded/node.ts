/**
 * An IPFS node: blocks on disk, a pin set, an exchange with others. Runs in the worker thread (`worker.ts`), but knows nothing of
 * threads. Its methods are those of `IpfsConnector`, by which the tracker and the HTTP API reach it.
 *
 * What a pin promises: when `pin` resolves, every block of the DAG and the pin itself survive a loss of power, and no garbage collection
 * removes them until `unpin`. The order makes it so: blocks reach their names whole (`block-folder.ts`), then the folders are
 * synced, then the pin is written, synced.
 */

import { mkdirSync } from 'node:fs'
import type { CidString, IpfsId, MultiaddrString, PeerIdString, PinMode } from '@quorate/client/api'
import type { CID } from 'multiformats/cid'
import type { IpfsBlock, Logger, PinProgress, RepoStat } from '../../ports.ts'
import { assertHashKnown, inlineBytes, MAX_BLOCK_BYTES, matchesCid, parseCid } from '../cids.ts'
import { IpfsRequestError } from '../errors.ts'
import { BlockFolder } from './block-folder.ts'
import { walkDag } from './dag-walk.ts'
import { Garbage, type Hold } from './garbage.ts'
import type { EmbeddedNodeInit } from './init.ts'
import { assertCodecKnown, isLeafCodec, linksOf } from './links.ts'
import { NodeSet } from './multihash-set.ts'
import { Network } from './network.ts'
import { type PinLine, PinStore, pinLine } from './pin-store.ts'
import { readFile, resolvePath } from './unixfs.ts'

/** How often the progress of a pin is reported. */
const PROGRESS_INTERVAL_MS = 50
/** Blocks of an upload that are verified and written at the same time. */
const CONCURRENT_PUTS = 16

export interface NodePinOptions {
  readonly mode: PinMode
  readonly origins?: readonly MultiaddrString[] | undefined
}

export class EmbeddedNode {
  readonly #init: EmbeddedNodeInit
  readonly #logger: Logger
  readonly #folder: BlockFolder
  readonly #pins: PinStore
  readonly #garbage: Garbage
  readonly #holds = new Map<number, Hold>()
  #network: Network | undefined
  #repoBytes = 0
  /** Bytes that are being written. */
  #arrivingBytes = 0
  /** Set while the blocks are counted after a crash. */
  #counting: AbortController | undefined

  constructor(init: EmbeddedNodeInit, logger: Logger) {
    this.#init = init
    this.#logger = logger
    this.#folder = new BlockFolder(init.folder)
    this.#pins = new PinStore(init.folder)
    this.#garbage = new Garbage({ folder: this.#folder, pins: this.#pins })
  }

  async start(): Promise<void> {
    mkdirSync(this.#init.folder, { recursive: true })
    await this.#pins.open()
    try {
      this.#folder.open()
      this.#network = await Network.start({ blocks: this.#folder, logger: this.#logger }, this.#init)
    } catch (error) {
      await this.#pins.close()
      throw error
    }
    const bytes = await this.#pins.takeRepoBytes()
    if (bytes !== undefined) this.#repoBytes = bytes
    else void this.#countRepoBytes()
    // So that the first pin does not have to wait for folders that an earlier run left unsynced.
    this.#folder
      .sync()
      .catch((error) => this.#logger.warn({ error: (error as Error).message }, 'cannot sync the block folders'))
  }

  async stop(): Promise<void> {
    const counted = this.#counting === undefined
    this.#counting?.abort()
    await this.#network?.stop()
    await this.#folder.sync().catch(() => undefined)
    if (counted) await this.#pins.putRepoBytes(this.#repoBytes).catch(() => undefined)
    await this.#pins.close()
  }

  get #net(): Network {
    if (this.#network === undefined) throw new Error('the node has not been started')
    return this.#network
  }

  id(): IpfsId {
    return { id: this.#net.peerId, addresses: this.#net.addresses(), error: '' }
  }

  // --- pins -----------------------------------------------------------------------------------------------------------------

  async pin(
    cidString: CidString,
    options: NodePinOptions,
    signal: AbortSignal,
    onProgress: (progress: PinProgress) => void
  ): Promise<void> {
    const cid = parseCid(cidString)
    assertHashKnown(cid)
    if (options.mode === 'recursive') assertCodecKnown(cid)
    if ((await this.#pins.get(cid)) === options.mode) return
    await this.#garbage.whilePinning({ cid, mode: options.mode }, async () => {
      this.#net.connectToOrigins(options.origins ?? [], signal)
      await this.#fetchAll(cid, options.mode, signal, onProgress)
      await this.#folder.sync()
      signal.throwIfAborted()
      await this.#pins.put(cid, options.mode)
    })
  }

  async #fetchAll(
    root: CID,
    mode: PinMode,
    signal: AbortSignal,
    onProgress: (progress: PinProgress) => void
  ): Promise<void> {
    let blocks = 0
    let bytes = 0
    // Not for every block: handing a message to the other thread costs more than handling a small block.
    let reporting: NodeJS.Timeout | undefined
    const report = () => {
      reporting = undefined
      onProgress({ blocks, bytes })
    }
    const visit = async (cid: CID, visitSignal: AbortSignal): Promise<Uint8Array | undefined> => {
      const inline = inlineBytes(cid)
      if (inline !== undefined) return inline
      assertHashKnown(cid)
      assertCodecKnown(cid)
      this.#garbage.touch(cid)
      let data: Uint8Array | undefined
      if (!this.#folder.has(cid)) {
        data = await this.#fetch(cid, visitSignal)
        bytes += data.byteLength
      } else if (!isLeafCodec(cid)) data = await this.#readSound(cid, visitSignal)
      blocks++
      reporting ??= setTimeout(report, PROGRESS_INTERVAL_MS)
      return data
    }
    try {
      if (mode === 'direct') await visit(root, signal)
      else {
        const reread = (cid: CID, rereadSignal: AbortSignal) => this.#read(cid, rereadSignal)
        await walkDag({ root, seen: new NodeSet(), visit, reread, signal })
      }
      if (reporting !== undefined) report()
    } finally {
      clearTimeout(reporting)
    }
  }

  /** Reads a block that is here; one that turns out to be damaged is fetched again. */
  async #readSound(cid: CID, signal: AbortSignal): Promise<Uint8Array> {
    const data = await this.#read(cid, signal)
    try {
      linksOf(cid, data)
      return data
    } catch (error) {
      if (matchesCid(cid, data)) throw error
      this.#logger.warn({ cid: cid.toString() }, 'a block on disk is damaged and is fetched again')
      this.#repoBytes -= this.#folder.discard(cid)
      return this.#fetch(cid, signal)
    }
  }

  async unpin(cid: CidString): Promise<void> {
    await this.#pins.delete(parseCid(cid))
  }

  async *pinLs(): AsyncGenerator<PinLine> {
    for await (const pin of this.#pins.list()) yield pinLine(pin)
  }

  pinLsCid(cid: CidString): Promise<PinMode | undefined> {
    return this.#pins.get(parseCid(cid))
  }

  // --- blocks ---------------------------------------------------------------------------------------------------------------

  /** Stores blocks under a hold of the given number, which `release` gives up. */
  async putBlocks(source: AsyncIterable<IpfsBlock>, holdId: number, signal: AbortSignal): Promise<void> {
    const hold = this.#garbage.hold()
    this.#holds.set(holdId, hold)
    const running = new Set<Promise<void>>()
    let failure: { error: unknown } | undefined
    try {
      for await (const block of source) {
        signal.throwIfAborted()
        if (failure !== undefined) break
        const putting: Promise<void> = this.#putBlock(block, hold)
          .catch((error) => {
            failure ??= { error }
          })
          .finally(() => running.delete(putting))
        running.add(putting)
        if (running.size >= CONCURRENT_PUTS) await Promise.race(running)
      }
      await Promise.all(running)
      if (failure !== undefined) throw failure.error
      signal.throwIfAborted()
    } catch (error) {
      await Promise.all(running)
      this.release(holdId)
      throw error
    }
  }

  async #putBlock(block: IpfsBlock, hold: Hold): Promise<void> {
    const cid = parseCid(block.cid)
    if (inlineBytes(cid) !== undefined) return
    if (block.bytes.byteLength > MAX_BLOCK_BYTES) {
      throw new IpfsRequestError(
        `block ${cid} has ${block.bytes.byteLength} bytes; at most ${MAX_BLOCK_BYTES} can be exchanged`,
        'bad-request'
      )
    }
    if (!matchesCid(cid, block.bytes)) {
      throw new IpfsRequestError(`the bytes that were given for block ${cid} do not hash to it`, 'corrupt')
    }
    hold.blocks.add(cid)
    await this.#store(cid, block.bytes)
  }

  release(holdId: number): void {
    const hold = this.#holds.get(holdId)
    if (hold === undefined) return
    this.#holds.delete(holdId)
    this.#garbage.release(hold)
  }

  async getBlock(cidString: CidString, signal: AbortSignal): Promise<Uint8Array> {
    const cid = parseCid(cidString)
    return this.#read(cid, signal)
  }

  cat(cid: CidString, signal: AbortSignal): AsyncIterable<Uint8Array> {
    return readFile(parseCid(cid), (block, readSignal) => this.#read(block, readSignal), signal)
  }

  async resolve(path: string, signal: AbortSignal): Promise<CidString> {
    return (await resolvePath(path, (block, readSignal) => this.#read(block, readSignal), signal)).toString()
  }

  async *repoGc(signal: AbortSignal): AsyncGenerator<{ cid: CidString }> {
    for await (const { cid, bytes } of this.#garbage.collect(signal)) {
      this.#repoBytes -= bytes
      yield { cid: cid.toString() }
    }
  }

  repoStat(): RepoStat {
    return { repoSizeBytes: Math.max(0, this.#repoBytes), storageMaxBytes: this.#init.storageMaxBytes }
  }

  // --- peers ----------------------------------------------------------------------------------------------------------------

  swarmPeers(): PeerIdString[] {
    return this.#net.peers()
  }

  async connectSwarm(addresses: readonly MultiaddrString[], signal: AbortSignal): Promise<void> {
    await this.#net.connectSwarm(addresses, signal)
  }

  // --- inside ---------------------------------------------------------------------------------------------------------------

  /** A block from disk, or else from the network. */
  async #read(cid: CID, signal: AbortSignal): Promise<Uint8Array> {
    const inline = inlineBytes(cid)
    if (inline !== undefined) return inline
    assertHashKnown(cid)
    this.#garbage.touch(cid)
    return this.#folder.get(cid) ?? (await this.#fetch(cid, signal))
  }

  async #fetch(cid: CID, signal: AbortSignal): Promise<Uint8Array> {
    const data = await this.#net.exchange.want(cid, signal)
    await this.#store(cid, data)
    return data
  }

  /** The bytes are verified already. */
  async #store(cid: CID, data: Uint8Array): Promise<void> {
    this.#garbage.touch(cid)
    const { storageMaxBytes } = this.#init
    const bytes = data.byteLength
    if (
      storageMaxBytes > 0 &&
      this.#repoBytes + this.#arrivingBytes + bytes > storageMaxBytes &&
      !this.#folder.has(cid)
    ) {
      throw new IpfsRequestError(
        `cannot store block ${cid} of ${bytes} bytes: the repository holds ${this.#repoBytes} of ${storageMaxBytes} bytes (storage_max)`,
        'no-space'
      )
    }
    this.#arrivingBytes += bytes
    try {
      if (await this.#folder.put(cid, data)) this.#repoBytes += bytes
    } finally {
      this.#arrivingBytes -= bytes
    }
    this.#net.exchange.stored(cid, data)
  }

  /** After a crash. In the background; until it is done `repoStat` says less than there is. */
  async #countRepoBytes(): Promise<void> {
    const counting = new AbortController()
    this.#counting = counting
    let bytes = 0
    const before = this.#repoBytes
    for (const shard of this.#folder.shards()) {
      for (const file of this.#folder.listShard(shard)) bytes += file.bytes
      await new Promise((resolve) => setImmediate(resolve))
      if (counting.signal.aborted) return
    }
    // What was written meanwhile may have been counted twice; `repoStat` is for people, and a restart in order sets it right.
    this.#repoBytes = Math.max(bytes, before)
    this.#counting = undefined
  }
}
