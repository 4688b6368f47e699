/**
 * Which block is asked of which peer. The blocks of one DAG are usually at the same few peers, so they are asked for in a session: a
 * peer that gave a block, or said that it has one, is asked for the next ones straight away, and the load is spread over all such peers.
 * Only when nobody of the session has a block, or is slow to say so, are all others asked whether they have it. A block is
 * asked of one peer at a time, so that it does not come twice, and the others are told when it has come.
 *
 * Messages can be lost, peers can be silent, and a peer that lacks a block now can have it later: `tick` looks after all of that.
 * Called by `bitswap.ts`, which owns the peers.
 */

import type { CID } from 'multiformats/cid'
import { blockKey } from '../../cids.ts'
import { abortReason } from '../../errors.ts'
import { WANT_BLOCK, WANT_HAVE } from './message.ts'
import type { PeerLink } from './peer-link.ts'

/** How often `tick` should be called while something is wanted. */
export const TICK_MS = 100
/** The session's own peers have this long before everybody is asked. */
const ASK_ALL_AFTER_MS = 500
/** A peer that was asked for a block and from which nothing at all comes for so long is passed over for it. */
const SILENT_AFTER_MS = 5000
/** So is one that sends other things, but not this block: the request was lost. A slow line needs long for those before it. */
const LOST_AFTER_MS = 30_000
/** Those who did not have the block are asked again. */
const ASK_AGAIN_AFTER_MS = 10_000
/** After so many refusals in a row a peer is no longer of the session. */
const MAX_MISSES = 16
/** Unanswered requests that one peer is given, over all sessions. More wait, so that answers come from whoever is fastest. */
const MAX_OUTSTANDING = 64

interface Waiter {
  readonly resolve: (bytes: Uint8Array) => void
  readonly reject: (reason: unknown) => void
}

interface Want {
  readonly cid: CID
  readonly key: string
  readonly session: Session
  readonly waiters: Set<Waiter>
  /** Peers that were told of this want, and have to be told when it ends. */
  readonly asked: Set<PeerLink>
  readonly haves: Set<PeerLink>
  /** Peers that said no, or nothing. */
  readonly misses: Set<PeerLink>
  /** The one that has been asked for the block. `holder !== undefined` ⇒ it is in `asked`. */
  holder: PeerLink | undefined
  heldSinceMs: number
  readonly sinceMs: number
  askedAllAtMs: number | undefined
}

/** The peers that are known to have blocks of one DAG, and how many times in a row they did not. */
export class Session {
  readonly peers = new Map<PeerLink, number>()
}

export interface WantsInit {
  readonly peers: () => Iterable<PeerLink>
  /** A block has been wanted for a while and no peer is known to have it: find some. */
  readonly onStarved: (cid: CID) => void
  readonly nowMs: () => number
}

export class Wants {
  readonly #init: WantsInit
  readonly #wants = new Map<string, Want>()

  constructor(init: WantsInit) {
    this.#init = init
  }

  get size(): number {
    return this.#wants.size
  }

  /** Resolves to the block's bytes, verified. Waits for as long as the signal allows. */
  want(cid: CID, session: Session, signal: AbortSignal): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(abortReason(signal))
        return
      }
      const key = blockKey(cid)
      let want = this.#wants.get(key)
      if (want === undefined) {
        want = {
          cid,
          key,
          session,
          waiters: new Set(),
          asked: new Set(),
          haves: new Set(),
          misses: new Set(),
          holder: undefined,
          heldSinceMs: 0,
          sinceMs: this.#init.nowMs(),
          askedAllAtMs: undefined
        }
        this.#wants.set(key, want)
      }
      const joined = want
      const onAbort = () => {
        joined.waiters.delete(waiter)
        if (joined.waiters.size === 0) this.#end(joined, undefined)
        reject(abortReason(signal))
      }
      const waiter: Waiter = {
        resolve: (bytes) => {
          signal.removeEventListener('abort', onAbort)
          resolve(bytes)
        },
        reject: (reason) => {
          signal.removeEventListener('abort', onAbort)
          reject(reason)
        }
      }
      joined.waiters.add(waiter)
      signal.addEventListener('abort', onAbort)
      if (joined.waiters.size === 1) this.#advance(joined)
    })
  }

  /** A block came from a peer, or from elsewhere. False if nobody wants it. */
  received(key: string, bytes: Uint8Array, from: PeerLink | undefined): boolean {
    const want = this.#wants.get(key)
    if (want === undefined) return false
    if (from !== undefined) want.session.peers.set(from, 0)
    this.#end(want, from)
    for (const waiter of want.waiters) waiter.resolve(bytes)
    return true
  }

  hasBlock(key: string, peer: PeerLink): void {
    const want = this.#wants.get(key)
    if (want === undefined) return
    want.session.peers.set(peer, 0)
    want.haves.add(peer)
    want.misses.delete(peer)
    if (want.holder === undefined) this.#advance(want)
  }

  lacksBlock(key: string, peer: PeerLink): void {
    const want = this.#wants.get(key)
    if (want === undefined) return
    this.#miss(want, peer)
    if (want.holder === peer) this.#unhold(want)
    if (want.holder === undefined) this.#advance(want)
  }

  /** Asks a new peer for what nobody is known to have. */
  connected(peer: PeerLink): void {
    for (const want of this.#wants.values()) if (want.holder === undefined) this.#ask(want, peer)
  }

  /** What was asked of this peer, or said by it, no longer counts. */
  lost(peer: PeerLink): void {
    for (const want of this.#wants.values()) {
      want.asked.delete(peer)
      want.haves.delete(peer)
      want.misses.delete(peer)
      want.session.peers.delete(peer)
      if (want.holder === peer) {
        this.#unhold(want)
        this.#advance(want)
      }
    }
  }

  tick(): void {
    const nowMs = this.#init.nowMs()
    for (const want of this.#wants.values()) {
      if (want.holder !== undefined) {
        const silentMs = nowMs - Math.max(want.heldSinceMs, want.holder.heardAtMs)
        if (silentMs >= SILENT_AFTER_MS || nowMs - want.heldSinceMs >= LOST_AFTER_MS) {
          this.#miss(want, want.holder)
          this.#unhold(want)
        }
      }
      if (want.askedAllAtMs === undefined) {
        if (nowMs - want.sinceMs >= ASK_ALL_AFTER_MS) this.#askAll(want)
      } else if (want.holder === undefined && nowMs - want.askedAllAtMs >= ASK_AGAIN_AFTER_MS) {
        want.misses.clear()
        want.asked.clear()
        this.#askAll(want)
        this.#init.onStarved(want.cid)
      }
      this.#advance(want)
    }
  }

  /** Ends every want. */
  stop(reason: Error): void {
    for (const want of [...this.#wants.values()]) {
      this.#end(want, undefined)
      for (const waiter of want.waiters) waiter.reject(reason)
    }
  }

  /** Asks the best peer for the block itself. */
  #advance(want: Want): void {
    if (want.holder !== undefined) return
    const peer = leastBusy(want.haves, want.misses) ?? leastBusy(want.session.peers.keys(), want.misses)
    if (peer !== undefined) {
      want.holder = peer
      want.heldSinceMs = this.#init.nowMs()
      want.asked.add(peer)
      peer.outstanding++
      peer.want(want.key, want.cid.bytes, WANT_BLOCK)
      return
    }
    // Known peers that are merely busy are worth waiting for.
    const busy = [...want.haves, ...want.session.peers.keys()].some((known) => !want.misses.has(known))
    if (!busy && want.askedAllAtMs === undefined) {
      this.#askAll(want)
      this.#init.onStarved(want.cid)
    }
  }

  #askAll(want: Want): void {
    want.askedAllAtMs = this.#init.nowMs()
    for (const peer of this.#init.peers()) this.#ask(want, peer)
  }

  #ask(want: Want, peer: PeerLink): void {
    if (want.asked.has(peer)) return
    want.asked.add(peer)
    peer.want(want.key, want.cid.bytes, WANT_HAVE)
  }

  #miss(want: Want, peer: PeerLink): void {
    want.misses.add(peer)
    want.haves.delete(peer)
    const misses = want.session.peers.get(peer)
    if (misses === undefined) return
    if (misses + 1 >= MAX_MISSES) want.session.peers.delete(peer)
    else want.session.peers.set(peer, misses + 1)
  }

  #unhold(want: Want): void {
    if (want.holder === undefined) return
    want.holder.outstanding--
    want.holder = undefined
  }

  #end(want: Want, from: PeerLink | undefined): void {
    this.#wants.delete(want.key)
    this.#unhold(want)
    for (const peer of want.asked) if (peer !== from) peer.cancel(want.key, want.cid.bytes)
  }
}

function leastBusy(peers: Iterable<PeerLink>, except: ReadonlySet<PeerLink>): PeerLink | undefined {
  let best: PeerLink | undefined
  for (const peer of peers) {
    if (except.has(peer) || peer.outstanding >= MAX_OUTSTANDING) continue
    if (best === undefined || peer.outstanding < best.outstanding) best = peer
  }
  return best
}
