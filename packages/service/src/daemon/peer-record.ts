/**
 * What the members know of each other's addresses. Each peer keeps its own record in the replicated state in step with where it
 * listens; the records of all go into the address book, and from there into the `peerstore` file.
 */

import type { MultiaddrString, PeerIdString } from '@quorate/client/api'
import type { Raft } from '@quorate/raft'
import type { AddressBook } from '../cluster-host/address-book.ts'
import type { ClusterHost } from '../cluster-host/host.ts'
import type { RaftConsensus } from '../consensus/raft-consensus.ts'
import type { Logger } from '../ports.ts'
import type { OpResult } from '../state/ops.ts'
import type { PeerRecords } from '../state/pinset-state.ts'

const CHECK_INTERVAL_MS = 1_000
/** A record that was refused is offered again after so long. */
const REFUSED_PAUSE_MS = 60_000

export interface PeerRecordComponents {
  readonly libp2p: ClusterHost
  readonly raft: Raft<OpResult>
  readonly consensus: RaftConsensus
  readonly state: { readonly peerRecords: PeerRecords }
  readonly addressBook: AddressBook
  readonly logger: Logger
}

export interface PeerRecordInit {
  readonly id: PeerIdString
  readonly peername: string
}

export class PeerRecordKeeper {
  private readonly parts: PeerRecordComponents
  private readonly init: PeerRecordInit
  private readonly stopping = new AbortController()
  private timer: NodeJS.Timeout | undefined
  private busy: Promise<void> | undefined
  private notBeforeMs = 0

  constructor(components: PeerRecordComponents, init: PeerRecordInit) {
    this.parts = components
    this.init = init
  }

  start(): void {
    this.timer = setInterval(() => this.check(), CHECK_INTERVAL_MS)
    this.timer.unref()
    this.check()
  }

  async stop(): Promise<void> {
    clearInterval(this.timer)
    this.stopping.abort()
    await this.busy
  }

  private check(): void {
    this.busy ??= this.sync()
      .catch((error: unknown) =>
        this.parts.logger.debug({ error: String(error) }, 'cannot tell the members our addresses yet')
      )
      .finally(() => {
        this.busy = undefined
      })
  }

  private async sync(): Promise<void> {
    const { state, addressBook, consensus, libp2p } = this.parts
    const records = state.peerRecords.list()
    const members = new Set(consensus.peers())
    await addressBook.setMembers(
      records.filter(({ peerId }) => members.has(peerId)).map(({ peerId, addresses }) => ({ id: peerId, addresses }))
    )
    const { id, peername } = this.init
    // A peer that is no member, or sees no leader, has nobody to tell.
    if (!consensus.peers().includes(id) || consensus.leader() === undefined) return
    const addresses: MultiaddrString[] = libp2p.getMultiaddrs().map(String).sort()
    const stored = records.find((record) => record.peerId === id)
    if (
      addresses.length === 0 ||
      (stored?.peername === peername && [...stored.addresses].sort().join() === addresses.join())
    )
      return
    if (performance.now() < this.notBeforeMs) return
    const { result } = await consensus.commit(
      { kind: 'peer-record', record: { peerId: id, peername, addresses } },
      { signal: AbortSignal.any([this.stopping.signal, AbortSignal.timeout(10_000)]) }
    )
    if (result.ok) return
    this.notBeforeMs = performance.now() + REFUSED_PAUSE_MS
    this.parts.logger.warn(
      { code: result.code },
      `the members do not keep the addresses of this peer: ${result.message}`
    )
  }
}
