/**
 * Exchange of blocks with other IPFS nodes: `@helia/bitswap` on the embedded node's own libp2p host and its own block folder. Called by `node.ts`.
 *
 * `@helia/bitswap` is given the few parts of a Helia node that it uses, by hand: `import('helia')` loads WebRTC, uPnP and more, takes 0.8 s and
 * 125 MB where `@helia/bitswap` alone takes 0.2 s and 41 MB. Around it are five things that it lacks (version 4.0.19):
 *
 * - A want that comes while the first message to a new peer is on its way is not sent to that peer (`WantList.peerConnected`).
 * - A want that is given up while the message about it waits, and taken up again, is forgotten (`WantList.addEntry` finds the cancelled entry); so
 *   is a want that a peer has dropped because its list was full. Every want is therefore asked again after a while.
 * - A want does not end when its block is stored here by other means (an upload, another pin).
 * - It asks the routing for providers of each block at once. Here nobody is asked for a second, and then through `Providers`.
 * - What a peer may want at once is bounded by `maxWantListSize`, which its documented options spell differently: all blocks of one
 *   peer's list are read into memory together.
 */

import { setTimeout as delay } from 'node:timers/promises'
import { withBitswap } from '@helia/bitswap'
import type { Libp2p } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { blockKey, hashFunctionOf, MAX_BLOCK_BYTES } from '../cids.ts'
import { abortReason, IpfsUnavailableError } from '../errors.ts'

/** After so long without a block others than the connected peers are asked for it. */
const STARVED_MS = 1000
/** When a want is sent to peers that have connected meanwhile. */
const AGAIN_MS = [500, 2000]
/** Longer than a peer refuses to send a block twice. */
const FIRST_ATTEMPT_MS = 6000
const LONGEST_ATTEMPT_MS = 60_000
/** Between giving a want up and taking it up again: its cancellation must have been handled. */
const BETWEEN_ATTEMPTS_MS = 100

const OPTIONS = {
  // Waits for more wants to send with the first: 10 ms for every round trip, unless it is told not to.
  sendWantlistDebounce: 0,
  maxInboundStreams: 64,
  maxOutboundStreams: 64,
  // A flush of wants waits for every peer, so that one which is stuck holds up what is wanted of all others for so long.
  messageSendTimeout: 2000,
  // Others send up to 4 MiB. A block has at most two; smaller messages let the receiver work while the next is on its way.
  maxIncomingMessageSize: 4 * 1024 * 1024 + 64 * 1024,
  maxOutgoingMessageSize: MAX_BLOCK_BYTES + 64 * 1024,
  // More than 32 for each of the pins that run at once by default.
  maxWantListSize: 384
}

/** The blocks of this node. */
export interface LocalBlocks {
  has(cid: CID): boolean
  get(cid: CID): Uint8Array | undefined
}

export interface ExchangeComponents {
  readonly libp2p: Libp2p
  readonly blocks: LocalBlocks
  /** Called when the connected peers do not send a block. */
  readonly onStarved: (cid: CID) => void
}

type Node = Parameters<typeof withBitswap>[0]
type Mixin = Parameters<Node['addMixin']>[0]
type Broker = Exclude<Parameters<Node['addBlockBroker']>[0], (components: never) => unknown>

interface Want {
  readonly waiting: Set<{ readonly resolve: (bytes: Uint8Array) => void; readonly reject: (error: unknown) => void }>
  /** Ends the asking. */
  readonly ended: AbortController
}

export class Exchange {
  readonly #components: ExchangeComponents
  readonly #wants = new Map<string, Want>()
  readonly #stopped = new AbortController()
  #broker: Broker | undefined

  constructor(components: ExchangeComponents) {
    this.#components = components
  }

  async start(): Promise<void> {
    const { libp2p, blocks } = this.#components
    let mixin: Mixin | undefined
    const parts = {
      status: 'starting',
      libp2p,
      logger: libp2p.logger,
      blockstore: {
        has: (cid: CID) => blocks.has(cid),
        async *get(cid: CID) {
          const bytes = blocks.get(cid)
          if (bytes === undefined) throw Object.assign(new Error(`no block ${cid}`), { name: 'NotFoundError' })
          yield bytes
        }
      },
      routing: { async *findProviders() {} },
      getHasher: hasherOf,
      addMixin: (added: Mixin) => {
        mixin = added
      },
      hasBlockBroker: () => this.#broker !== undefined,
      addBlockBroker: (added: Broker) => {
        this.#broker = added
      }
    } as unknown as Node
    withBitswap(parts, OPTIONS)
    await mixin?.start?.(parts)
    if (this.#broker === undefined) throw new Error('@helia/bitswap did not start')
  }

  async stop(): Promise<void> {
    this.#stopped.abort(new IpfsUnavailableError('the IPFS node is stopping'))
    for (const { ended, waiting } of this.#wants.values()) {
      ended.abort()
      for (const { reject } of waiting) reject(this.#stopped.signal.reason)
    }
    this.#wants.clear()
    await (this.#broker as { stop?: () => Promise<void> } | undefined)?.stop?.()
  }

  /** Fetches a block; waits for as long as the signal allows. The bytes are verified. */
  async want(cid: CID, signal: AbortSignal): Promise<Uint8Array> {
    signal.throwIfAborted()
    this.#stopped.signal.throwIfAborted()
    const key = blockKey(cid)
    let want = this.#wants.get(key)
    if (want === undefined) {
      want = { waiting: new Set(), ended: new AbortController() }
      this.#wants.set(key, want)
      void this.#ask(cid, key, want)
    }
    const { waiting, ended } = want
    let stopWaiting = (): void => undefined
    const waiter = Promise.withResolvers<Uint8Array>()
    try {
      waiting.add(waiter)
      stopWaiting = () => waiter.reject(abortReason(signal))
      signal.addEventListener('abort', stopWaiting)
      return await waiter.promise
    } finally {
      signal.removeEventListener('abort', stopWaiting)
      waiting.delete(waiter)
      if (waiting.size === 0) {
        ended.abort()
        if (this.#wants.get(key) === want) this.#wants.delete(key)
      }
    }
  }

  /** A block has been stored here: whoever waits for it gets it. */
  stored(cid: CID, bytes: Uint8Array): void {
    this.#settle(blockKey(cid), bytes)
    this.#broker?.announce?.(cid).catch(() => undefined)
  }

  #settle(key: string, bytes: Uint8Array): void {
    const want = this.#wants.get(key)
    if (want === undefined) return
    this.#wants.delete(key)
    want.ended.abort()
    for (const { resolve } of want.waiting) resolve(bytes)
  }

  /** Asking again without giving up in between sends the want to peers that have not got it yet, and to no other. */
  async #attempt(cid: CID, signal: AbortSignal): Promise<Uint8Array> {
    const broker = this.#broker
    if (broker?.retrieve === undefined) throw new Error('the exchange has not been started')
    const retrieve = broker.retrieve.bind(broker)
    const first = retrieve(cid, { signal })
    const again = AGAIN_MS.map(async (ms) => {
      await delay(ms, undefined, { signal })
      return retrieve(cid, { signal })
    })
    return Promise.race([first, ...again])
  }

  async #ask(cid: CID, key: string, { ended, waiting }: Want): Promise<void> {
    const starved = setTimeout(() => this.#components.onStarved(cid), STARVED_MS)
    let attemptMs = FIRST_ATTEMPT_MS
    try {
      while (!ended.signal.aborted) {
        const attempt = AbortSignal.any([ended.signal, AbortSignal.timeout(attemptMs)])
        try {
          this.#settle(key, await this.#attempt(cid, attempt))
          return
        } catch (error) {
          if (ended.signal.aborted) return
          if (!attempt.aborted) throw error
        }
        this.#components.onStarved(cid)
        attemptMs = Math.min(attemptMs * 2, LONGEST_ATTEMPT_MS)
        await delay(BETWEEN_ATTEMPTS_MS, undefined, { signal: ended.signal }).catch(() => undefined)
      }
    } catch (error) {
      for (const { reject } of waiting) reject(error)
    } finally {
      clearTimeout(starved)
    }
  }
}

/** The form in which the library wants a hash function; undefined if it cannot be computed here: such a block is ignored. */
function hasherOf(code: number) {
  const hash = hashFunctionOf(code)
  if (hash === undefined) return undefined
  return {
    ...hash,
    digest(bytes: Uint8Array, { truncate }: { truncate?: number } = {}) {
      const digest = hash.digest(bytes)
      return Digest.create(code, truncate === undefined ? digest : digest.subarray(0, truncate))
    }
  }
}
