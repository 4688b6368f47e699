/**
 * `IpfsConnector` on a Kubo daemon, which runs beside the peer and is reached through its RPC API. Made by the composition root when
 * `ipfs_connector.ipfshttp` is configured; passes the same conformance suite as the embedded node. Calls go through `kubo-rpc-client`
 * (`client.ts`), but for those that it cannot make (`streamed-call.ts` says why).
 */

import { multiaddr } from '@multiformats/multiaddr'
import type { CidString, IpfsId, MultiaddrString, PeerIdString, PinMode } from '@quorate/client/api'
import type { AbortOptions, IpfsBlock, IpfsConnector, IpfsPinOptions, Logger, RepoStat } from '../../ports.ts'
import { matchesCid, parseCid } from '../cids.ts'
import { IpfsRequestError } from '../errors.ts'
import { Breaker } from './breaker.ts'
import { archiveOf, inBatches } from './car-batch.ts'
import { KuboClient, type KuboRPCClient } from './client.ts'
import { parseEndpoint } from './endpoint.ts'
import { StreamedCalls } from './streamed-call.ts'

/** Origins of a pin that are connected to. */
const MAX_ORIGINS = 10
const CONNECT_TIMEOUT_MS = 10_000
/** How often it is looked whether the nodes of the other members are still connected. */
const SWARM_INTERVAL_MS = 30_000
/** Counting the blocks would read the whole repository. */
const SIZE_ONLY = { searchParams: new URLSearchParams({ 'size-only': 'true' }) }

export interface KuboConnectorInit {
  /** Of the RPC API, e.g. `/ip4/127.0.0.1/tcp/5001`. */
  readonly nodeMultiaddress: MultiaddrString
  readonly logger: Logger
  /** A call on which nothing comes for so long fails; 0: never. @default 300000 */
  readonly ipfsRequestTimeoutMs?: number
  /** @default 10800000 */
  readonly unpinTimeoutMs?: number
  /** @default 86400000 */
  readonly repogcTimeoutMs?: number
  /** Refuse to unpin. */
  readonly unpinDisable?: boolean
}

/** A connector to a daemon that need not be there yet. @throws {IpfsRequestError} when the address cannot be used */
export function createKuboConnector(init: KuboConnectorInit): IpfsConnector {
  return new KuboConnector(init)
}

class KuboConnector implements IpfsConnector {
  readonly #init: KuboConnectorInit
  readonly #logger: Logger
  readonly #client: KuboClient
  readonly #streams: StreamedCalls
  readonly #requestTimeoutMs: number
  readonly #stopped = new AbortController()
  /** Uploads that have not been released, and who waits for them to be. */
  #holds = 0
  readonly #onReleased = new Set<() => void>()
  #swarm: readonly MultiaddrString[] = []
  #swarmTimer: NodeJS.Timeout | undefined

  constructor(init: KuboConnectorInit) {
    this.#init = init
    this.#logger = init.logger
    const endpoint = parseEndpoint(init.nodeMultiaddress)
    const breaker = new Breaker(init.nodeMultiaddress, init.logger)
    this.#client = new KuboClient(endpoint, breaker)
    this.#streams = new StreamedCalls(endpoint, breaker)
    this.#requestTimeoutMs = init.ipfsRequestTimeoutMs ?? 5 * 60_000
  }

  /** Resolves whether or not the daemon is there: a peer can do useful work without it, and it may come later. */
  async start(): Promise<void> {
    this.#swarmTimer = setInterval(() => {
      this.#connectMissing(this.#stopped.signal).catch(() => undefined)
    }, SWARM_INTERVAL_MS)
  }

  async stop(): Promise<void> {
    clearInterval(this.#swarmTimer)
    this.#stopped.abort()
    this.#client.close()
    this.#streams.close()
  }

  async id(options?: AbortOptions): Promise<IpfsId> {
    const { id, addresses } = await this.#call('id', options, (client, call) => client.id(call))
    return { id: id.toString(), addresses: (addresses ?? []).map(String), error: '' }
  }

  // --- pins -----------------------------------------------------------------------------------------------------------------

  async pin(cid: CidString, options: IpfsPinOptions): Promise<void> {
    parseCid(cid)
    const { signal, mode, origins = [], updateFrom, onProgress } = options
    const current = await this.pinLsCid(cid, options)
    if (current === mode) return
    for (const origin of origins.slice(0, MAX_ORIGINS)) this.#connect(origin, signal).catch(() => undefined)
    // Kubo does not turn a recursive pin into a direct one.
    if (current === 'recursive') await this.#call('pin/rm', options, (client, call) => client.pin.rm(cid, call))
    if (
      mode === 'recursive' &&
      updateFrom !== undefined &&
      (await this.pinLsCid(updateFrom, options)) === 'recursive'
    ) {
      const update = { args: [updateFrom, cid], params: { unpin: 'false' }, signal }
      for await (const _line of this.#streams.lines('pin/update', update));
      return
    }
    let blocks = 0
    let pinned = false
    const params = { recursive: String(mode === 'recursive'), progress: 'true' }
    for await (const line of this.#streams.lines('pin/add', { args: [cid], params, signal })) {
      const { Pins, Progress, Bytes } = line as { Pins?: unknown[]; Progress?: number; Bytes?: number }
      if (Progress !== undefined && Progress > blocks) {
        blocks = Progress
        onProgress?.({ blocks, bytes: Bytes ?? 0 })
      }
      if (Pins !== undefined && Pins !== null && Pins.length > 0) pinned = true
    }
    if (!pinned) throw new IpfsRequestError(`Kubo ended the pin of ${cid} without saying that it is pinned`)
  }

  async unpin(cid: CidString, options?: AbortOptions): Promise<void> {
    if (this.#init.unpinDisable === true) {
      throw new IpfsRequestError('ipfs unpinning is disallowed by configuration on this peer', 'bad-request')
    }
    parseCid(cid)
    const timeoutMs = this.#init.unpinTimeoutMs ?? 3 * 3_600_000
    try {
      await this.#call('pin/rm', options, (client, call) => client.pin.rm(cid, call), timeoutMs)
    } catch (error) {
      if (!isNotPinned(error)) throw error
    }
  }

  async *pinLs(options?: AbortOptions): AsyncIterable<{ cid: CidString; mode: PinMode }> {
    for (const mode of ['recursive', 'direct'] as const) {
      const params = { type: mode, stream: 'true' }
      for await (const line of this.#streams.lines('pin/ls', {
        params,
        signal: options?.signal,
        idleTimeoutMs: this.#requestTimeoutMs
      })) {
        const { Cid } = line as { Cid?: string }
        if (Cid !== undefined && Cid !== '') yield { cid: Cid, mode }
      }
    }
  }

  async pinLsCid(cid: CidString, options?: AbortOptions): Promise<PinMode | undefined> {
    parseCid(cid)
    // Not `type=all`: that would walk every pin to find out whether this is a part of it.
    for (const mode of ['recursive', 'direct'] as const) {
      try {
        const find = async (client: KuboRPCClient, call: { signal: AbortSignal }) => {
          for await (const _pin of client.pin.ls({ ...call, paths: cid, type: mode }));
        }
        await this.#call('pin/ls', options, find)
        return mode
      } catch (error) {
        if (!isNotPinned(error)) throw error
      }
    }
    return undefined
  }

  // --- blocks ---------------------------------------------------------------------------------------------------------------

  async resolve(path: string, options?: AbortOptions): Promise<CidString> {
    const full = path.startsWith('/') ? path : `/ipfs/${path}`
    const resolved = await this.#call('resolve', options, (client, call) => client.resolve(full, call))
    return parseCid(resolved.split('/')[2] ?? '').toString()
  }

  async putBlocks(blocks: AsyncIterable<IpfsBlock>, options?: AbortOptions): Promise<{ release(): void }> {
    this.#holds++
    let held = true
    const release = () => {
      if (!held) return
      held = false
      this.#holds--
      if (this.#holds === 0) for (const wake of this.#onReleased) wake()
    }
    try {
      for await (const batch of inBatches(verified(blocks))) {
        const archive = archiveOf(batch)
        await this.#call('dag/import', options, async (client, call) => {
          for await (const _root of client.dag.import([archive], { ...call, pinRoots: false }));
        })
      }
    } catch (error) {
      release()
      throw error
    }
    return { release }
  }

  async getBlock(cid: CidString, options?: AbortOptions): Promise<Uint8Array> {
    const parsed = parseCid(cid)
    return this.#call('block/get', options, (client, call) => client.block.get(parsed, call))
  }

  async *cat(cid: CidString, options?: AbortOptions): AsyncIterable<Uint8Array> {
    parseCid(cid)
    yield* this.#streams.stream('cat', { args: [cid], signal: options?.signal, idleTimeoutMs: this.#requestTimeoutMs })
  }

  /** Kubo does not know which blocks an upload of ours has brought, so this waits until all uploads are pinned or given up. */
  async *repoGc(options?: AbortOptions): AsyncIterable<{ cid: CidString }> {
    await this.#allReleased(options?.signal)
    const idleTimeoutMs = this.#init.repogcTimeoutMs ?? 24 * 3_600_000
    for await (const line of this.#streams.lines('repo/gc', {
      params: { 'stream-errors': 'true' },
      signal: options?.signal,
      idleTimeoutMs
    })) {
      const { Key, Error: message } = line as { Key?: { '/'?: string } | null; Error?: string }
      if (message !== undefined && message !== '') throw new IpfsRequestError(message)
      const cid = Key?.['/']
      if (cid !== undefined) yield { cid }
    }
  }

  async #allReleased(signal: AbortSignal | undefined): Promise<void> {
    while (this.#holds > 0) {
      signal?.throwIfAborted()
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.#onReleased.delete(wake)
          signal?.removeEventListener('abort', wake)
          resolve()
        }
        this.#onReleased.add(wake)
        signal?.addEventListener('abort', wake)
      })
    }
    signal?.throwIfAborted()
  }

  async repoStat(options?: AbortOptions): Promise<RepoStat> {
    const stat = await this.#call('repo/stat', options, (client, call) => client.repo.stat({ ...call, ...SIZE_ONLY }))
    return { repoSizeBytes: Number(stat.repoSize), storageMaxBytes: Number(stat.storageMax) }
  }

  // --- peers ----------------------------------------------------------------------------------------------------------------

  async swarmPeers(options?: AbortOptions): Promise<readonly PeerIdString[]> {
    const peers = await this.#call('swarm/peers', options, (client, call) => client.swarm.peers(call))
    return [...new Set(peers.map(({ peer }) => peer.toString()))]
  }

  async connectSwarm(addresses: readonly MultiaddrString[], options?: AbortOptions): Promise<void> {
    this.#swarm = addresses
    await this.#connectMissing(options?.signal)
  }

  async #connectMissing(signal: AbortSignal | undefined): Promise<void> {
    if (this.#swarm.length === 0) return
    const connected = new Set(await this.swarmPeers(signal === undefined ? {} : { signal }))
    const { id } = await this.id(signal === undefined ? {} : { signal })
    await Promise.all(
      this.#swarm.map(async (address) => {
        try {
          const peer = multiaddr(address)
            .getComponents()
            .findLast(({ name }) => name === 'p2p')?.value
          if (peer === undefined || peer === id || connected.has(peer)) return
          await this.#connect(address, signal)
        } catch (error) {
          signal?.throwIfAborted()
          this.#logger.debug(
            { address, error: (error as Error).message },
            'Kubo cannot reach an IPFS node of the cluster yet'
          )
        }
      })
    )
  }

  async #connect(address: MultiaddrString, signal: AbortSignal | undefined): Promise<void> {
    const connect = (client: KuboRPCClient, call: AbortOptions) => client.swarm.connect(multiaddr(address), call)
    await this.#call('swarm/connect', signal === undefined ? undefined : { signal }, connect, CONNECT_TIMEOUT_MS)
  }

  async #call<T>(
    command: string,
    options: AbortOptions | undefined,
    make: (client: KuboRPCClient, call: { signal: AbortSignal }) => Promise<T>,
    timeoutMs = this.#requestTimeoutMs
  ): Promise<T> {
    return this.#client.call(command, { signal: options?.signal, timeoutMs }, make)
  }
}

/** Kubo says it in several ways. */
function isNotPinned(error: unknown): boolean {
  return error instanceof IpfsRequestError && /not pinned/.test(error.message)
}

async function* verified(blocks: AsyncIterable<IpfsBlock>): AsyncGenerator<IpfsBlock> {
  for await (const block of blocks) {
    const cid = parseCid(block.cid)
    if (!matchesCid(cid, block.bytes)) {
      throw new IpfsRequestError(`the bytes that were given for block ${cid} do not hash to it`, 'corrupt')
    }
    yield block
  }
}
