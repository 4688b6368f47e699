/**
 * Keeps the embedded node connected to the nodes that it was told of: those of the other members, and in a public network the
 * bootstrap nodes. libp2p dials nobody by itself, and gives up on a peer after five attempts; a cluster must not. Each peer has a loop
 * of its own: dial, wait until the connection is gone, dial again, with a growing pause between failures.
 */

import type { Libp2p, PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import type { Logger } from '../../ports.ts'

const FIRST_PAUSE_MS = 250
const LONGEST_PAUSE_MS = 30_000
const DIAL_TIMEOUT_MS = 10_000
/** Connections to the cluster's own nodes are the last that libp2p prunes. */
const TAG = 'quorate-cluster'
const TAG_VALUE = 100

interface Member {
  readonly id: PeerId
  addresses: readonly Multiaddr[]
  readonly stop: AbortController
  /** Resolves after the first attempt, however it ended. */
  readonly firstAttempt: Promise<void>
}

export class Swarm {
  readonly #libp2p: Libp2p
  readonly #logger: Logger
  readonly #members = new Map<string, Member>()
  /** Ends the pause of a member's loop. */
  readonly #wake = new Map<string, () => void>()

  constructor(libp2p: Libp2p, logger: Logger) {
    this.#libp2p = libp2p
    this.#logger = logger
    libp2p.addEventListener('peer:disconnect', (event) => this.#wake.get(event.detail.toString())?.())
  }

  isMember(peer: string): boolean {
    return this.#members.has(peer)
  }

  /** Replaces the set of peers. Resolves after one attempt to reach each new one; goes on in the background. */
  async set(addresses: readonly string[], signal: AbortSignal): Promise<void> {
    const wanted = groupByPeer(addresses, this.#libp2p.peerId.toString(), this.#logger)
    for (const [name, member] of this.#members) {
      if (wanted.has(name)) continue
      this.#members.delete(name)
      member.stop.abort()
      this.#libp2p.peerStore.merge(member.id, { tags: { [TAG]: undefined } }).catch(() => undefined)
    }
    const attempts: Promise<void>[] = []
    for (const [name, peerAddresses] of wanted) {
      const known = this.#members.get(name)
      if (known !== undefined) {
        known.addresses = peerAddresses
        this.#wake.get(name)?.()
        attempts.push(known.firstAttempt)
      } else attempts.push(this.#add(name, peerAddresses))
    }
    let stopWaiting = (): void => undefined
    const aborted = new Promise<void>((_resolve, reject) => {
      stopWaiting = () => reject(signal.reason)
    })
    aborted.catch(() => undefined)
    signal.addEventListener('abort', stopWaiting)
    try {
      signal.throwIfAborted()
      await Promise.race([Promise.all(attempts), aborted])
    } finally {
      signal.removeEventListener('abort', stopWaiting)
    }
  }

  stop(): void {
    for (const member of this.#members.values()) member.stop.abort()
    this.#members.clear()
  }

  #add(name: string, addresses: readonly Multiaddr[]): Promise<void> {
    let attempted = (): void => undefined
    const member: Member = {
      id: peerIdFromString(name),
      addresses,
      stop: new AbortController(),
      firstAttempt: new Promise((resolve) => {
        attempted = resolve
      })
    }
    this.#members.set(name, member)
    void this.#keepConnected(name, member, attempted)
    return member.firstAttempt
  }

  async #keepConnected(name: string, member: Member, attempted: () => void): Promise<void> {
    const stopped = member.stop.signal
    let pauseMs = FIRST_PAUSE_MS
    let reported = false
    await this.#libp2p.peerStore.merge(member.id, { tags: { [TAG]: { value: TAG_VALUE } } }).catch(() => undefined)
    while (!stopped.aborted) {
      if (this.#libp2p.getConnections(member.id).length === 0) {
        try {
          await this.#libp2p.dial([...member.addresses], {
            signal: AbortSignal.any([stopped, AbortSignal.timeout(DIAL_TIMEOUT_MS)])
          })
          this.#logger.debug({ peer: name }, 'connected to an IPFS node of the cluster')
          pauseMs = FIRST_PAUSE_MS
          reported = false
        } catch (error) {
          if (stopped.aborted) break
          if (!reported) {
            const addressList = member.addresses.map(String)
            this.#logger.info(
              { peer: name, addresses: addressList, error: (error as Error).message },
              'cannot reach an IPFS node of the cluster yet'
            )
          }
          reported = true
        }
      }
      attempted()
      const connected = this.#libp2p.getConnections(member.id).length > 0
      // While connected there is nothing to do until `peer:disconnect`; the long pause is for an event that was missed.
      await this.#pause(name, connected ? LONGEST_PAUSE_MS : pauseMs * (0.75 + Math.random() / 2), stopped)
      if (!connected) pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
    }
    attempted()
  }

  async #pause(name: string, pauseMs: number, stopped: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer)
        stopped.removeEventListener('abort', done)
        if (this.#wake.get(name) === done) this.#wake.delete(name)
        resolve()
      }
      const timer = setTimeout(done, pauseMs)
      stopped.addEventListener('abort', done)
      this.#wake.set(name, done)
      if (stopped.aborted) done()
    })
  }
}

/** The peer that an address names last; undefined if it names none. */
export function peerOf(address: Multiaddr): string | undefined {
  return address.getComponents().findLast((component) => component.name === 'p2p')?.value
}

function groupByPeer(addresses: readonly string[], self: string, logger: Logger): Map<string, Multiaddr[]> {
  const peers = new Map<string, Multiaddr[]>()
  for (const text of addresses) {
    try {
      const address = multiaddr(text)
      const peer = peerOf(address)
      if (peer === undefined) throw new Error('it does not end in /p2p/<peer ID>')
      if (peer === self) continue
      const name = peerIdFromString(peer).toString()
      const known = peers.get(name)
      if (known === undefined) peers.set(name, [address])
      else known.push(address)
    } catch (error) {
      logger.warn({ address: text, error: (error as Error).message }, 'ignored an address of an IPFS node')
    }
  }
  return peers
}
