/**
 * Where the other peers are: what the operator wrote (`peer_addresses`, the `peerstore` file), and what the peers say of themselves
 * (the replicated records of members). All of it goes into libp2p's peer store, from which every dial takes its addresses anew, so
 * that `/dns4/` and `/dns6/` names are resolved each time. What is known of members is written to the `peerstore` file whenever it
 * changes, so that a restart, even of all peers at once, finds them again.
 *
 * A keeper dials the peers of the operator's list until there is a connection to each: they are the way into the DHT, which
 * answers for the rest. Links to members are kept by the wire package.
 */

import { setTimeout as delay } from 'node:timers/promises'
import type { Connection, PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { peerIdOf } from '../config/peer-address.ts'
import type { Logger } from '../ports.ts'
import type { ClusterHost } from './host.ts'

const KEEPER_FIRST_MS = 500
const KEEPER_LONGEST_MS = 15_000
/** The highest that libp2p takes: members are the last to be pruned. */
const MEMBER_TAG_VALUE = 100

/** The addresses of one peer. */
export interface PeerAddresses {
  readonly id: string
  /** With or without `/p2p/<id>` at the end. */
  readonly addresses: readonly string[]
}

export interface AddressBookInit {
  readonly libp2p: ClusterHost
  readonly logger: Logger
  /** Writes the learned lines of the peerstore file; the operator's stay as they are. */
  readonly save: (addresses: readonly string[]) => Promise<void>
}

/** The address with `/p2p/<id>` at its end. */
export const withPeerId = (address: string, id: string): string =>
  peerIdOf(address) === undefined ? `${address}/p2p/${id}` : address

const isDns = (address: string): boolean => /^\/dns(4|6|addr)?\//.test(address)

/** A peer's addresses in the order to write and use them: names alone where there are any, since numbers go out of date. */
export function preferNames(addresses: readonly string[]): readonly string[] {
  const names = addresses.filter(isDns)
  return (names.length > 0 ? [...names] : [...addresses]).sort()
}

export class AddressBook {
  private readonly libp2p: ClusterHost
  private readonly logger: Logger
  private readonly save: (addresses: readonly string[]) => Promise<void>
  private readonly stopping = new AbortController()
  private readonly keepers = new Set<Promise<void>>()
  /** What the file holds; undefined: it could not be written. */
  private saved: string | undefined = ''
  private saveFails = false
  private saving: Promise<void> = Promise.resolve()

  constructor(init: AddressBookInit) {
    this.libp2p = init.libp2p
    this.logger = init.logger
    this.save = init.save
  }

  /** Takes in what the operator wrote, and dials each peer of it until it is connected. Bad lines were reported by the reader of the file. */
  async addOperatorAddresses(addresses: readonly string[]): Promise<void> {
    const byPeer = new Map<string, string[]>()
    for (const address of addresses) {
      const id = peerIdOf(address)
      if (id === this.libp2p.peerId.toString()) continue
      if (id === undefined) this.keep(multiaddr(address), address)
      else byPeer.set(id, [...(byPeer.get(id) ?? []), address])
    }
    for (const [id, known] of byPeer) {
      await this.learn({ id, addresses: known })
      this.keep(peerIdFromString(id), id)
    }
  }

  /** Takes in addresses of one peer; those known before stay. Addresses that cannot be parsed are passed over. */
  async learn(peer: PeerAddresses): Promise<void> {
    if (peer.id === this.libp2p.peerId.toString()) return
    const parsed: Multiaddr[] = []
    const end = `/p2p/${peer.id}`
    for (const address of preferNames(peer.addresses)) {
      try {
        // As libp2p keeps it, so that it knows it again.
        parsed.push(multiaddr(address.endsWith(end) ? address.slice(0, -end.length) : address))
      } catch (error) {
        this.logger.warn({ peer: peer.id, address, error: String(error) }, 'cannot use an address of a peer')
      }
    }
    try {
      await this.libp2p.peerStore.merge(peerIdFromString(peer.id), {
        multiaddrs: parsed,
        tags: { 'quorate-member': { value: MEMBER_TAG_VALUE } }
      })
    } catch (error) {
      this.logger.warn({ peer: peer.id, error: String(error) }, 'cannot keep the addresses of a peer')
    }
  }

  /** Takes in the addresses of all members, and writes those of the others to the peerstore file if they changed. */
  async setMembers(members: readonly PeerAddresses[]): Promise<void> {
    const others = members.filter(
      (member) => member.id !== this.libp2p.peerId.toString() && member.addresses.length > 0
    )
    const lines = others.flatMap((member) =>
      preferNames(member.addresses).map((address) => withPeerId(address, member.id))
    )
    const text = lines.join('\n')
    if (text === this.saved) return
    this.saved = text
    for (const member of others) await this.learn(member)
    this.saving = this.saving.then(() => this.write(lines))
    await this.saving
  }

  /** Never rejects: what could not be written is tried again with the next call of `setMembers`, and reported once. */
  private async write(lines: readonly string[]): Promise<void> {
    try {
      await this.save(lines)
      this.saveFails = false
    } catch (error) {
      this.saved = undefined
      if (!this.saveFails) this.logger.error({ error: String(error) }, 'cannot write the peerstore file')
      this.saveFails = true
    }
  }

  /** What libp2p knows of one peer, as text with `/p2p/`. */
  async addressesOf(id: string): Promise<readonly string[]> {
    const peerId = peerIdFromString(id)
    if (!(await this.libp2p.peerStore.has(peerId))) return []
    const peer = await this.libp2p.peerStore.get(peerId)
    return preferNames(peer.addresses.map(({ multiaddr }) => withPeerId(multiaddr.toString(), id)))
  }

  async stop(): Promise<void> {
    this.stopping.abort()
    await Promise.allSettled([...this.keepers, this.saving])
  }

  /** Dials until connected, ever more slowly, for as long as the book is open; begins anew when the connection is lost. */
  private keep(target: PeerId | Multiaddr, name: string): void {
    const { signal } = this.stopping
    const run = async (): Promise<void> => {
      let delayMs = KEEPER_FIRST_MS
      let told = false
      while (!signal.aborted) {
        try {
          const connection = await this.libp2p.dial(target, { signal })
          if (told) this.logger.info({ peer: name }, 'reached a peer of the peerstore')
          told = false
          delayMs = KEEPER_FIRST_MS
          await closed(connection, signal)
        } catch (error) {
          if (signal.aborted) return
          if (!told)
            this.logger.warn(
              { peer: name, reason: reasonOf(error) },
              'cannot reach a peer of the peerstore, will keep trying'
            )
          told = true
        }
        await delay(delayMs, undefined, { signal, ref: false }).catch(() => undefined)
        delayMs = Math.min(delayMs * 2, KEEPER_LONGEST_MS)
      }
    }
    const keeper = run().finally(() => this.keepers.delete(keeper))
    this.keepers.add(keeper)
  }
}

/** Resolves when the connection is closed, or the signal aborts. */
function closed(connection: Connection, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      connection.removeEventListener('close', done)
      signal.removeEventListener('abort', done)
      resolve()
    }
    connection.addEventListener('close', done)
    signal.addEventListener('abort', done)
    if (connection.status !== 'open' || signal.aborted) done()
  })
}

/** The innermost messages of a failed dial: libp2p wraps one error per address. Each once. */
export const reasonOf = (error: unknown): string => [...new Set(innermost(error))].join('; ')

function innermost(error: unknown): string[] {
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.flatMap(innermost)
  return [error instanceof Error ? error.message : String(error)]
}
