/**
 * Handing leadership over (dissertation §3.10): the leader brings the target up to date, tells it to campaign at once, and takes no
 * proposals meanwhile. Abandoned after an election timeout, or half of one if nobody asked for it.
 *
 * The same message is sent, without waiting, by a leader that has to go: one that was removed, or whose disk hangs. Who is the
 * best to hand over to is decided in `fitness.ts`, which also has leaders hand over of their own accord.
 */

import { bestHeir, isClearlyWell } from './fitness.ts'
import { giveUpLease, leasesAreOver } from './lease.ts'
import { becomeFollower } from './roles.ts'
import type { CoreState, Leading } from './state.ts'
import type { NodeId } from './types.ts'

/** Election timeouts after which a hand-over that nobody asked for is given up: the heir has nearly all, and clients wait. */
const OWN_ACCORD_TIMEOUTS = 0.5

/** Begins a hand-over to `to`, or to the best voter. */
export function beginTransfer(s: CoreState, ticket: number, to: NodeId | undefined): void {
  if (s.leading === undefined) {
    s.refuseNotLeader(ticket)
    return
  }
  if (s.transfer !== undefined) {
    s.refuse(ticket, 'transferring', `leadership is being handed to ${s.transfer.to} already`)
    return
  }
  const target = to ?? bestHeir(s, s.leading)?.id
  if (target === undefined || target === s.id || !s.log.config.config.voters.includes(target)) {
    const why =
      target === undefined
        ? 'there is no other voter that is fit to lead'
        : target === s.id
          ? 'it leads already'
          : 'it is no voter'
    s.refuse(ticket, 'illegal-change', `leadership cannot go to ${target ?? 'anybody else'}: ${why}`)
    return
  }
  handOver(s, target, ticket, to !== undefined)
}

/** The hand-over begins. @param ticket - who asked for it, if anybody did */
export function handOver(s: CoreState, to: NodeId, ticket: number | undefined, named: boolean): void {
  const patience = s.mutations.has('hand-over-insists') ? Number.POSITIVE_INFINITY : OWN_ACCORD_TIMEOUTS
  const timeouts = ticket === undefined ? patience : 1
  s.transfer = { ticket, to, named, deadlineMs: s.nowMs + timeouts * s.options.electionTimeoutMs, sent: false }
}

/** Tells the target to campaign. From here on another may lead at any time, and commit at once: the lease is over (T49). */
function sendTimeoutNow(s: CoreState, leading: Leading, to: NodeId): void {
  giveUpLease(s, leading)
  s.send(to, { type: 'timeout-now', term: s.term, leaseOver: leasesAreOver(s, leading) })
}

/** Tells the target to campaign once it has all entries: then it wins, and nothing is lost by it. Ends every step of a leader. */
export function continueTransfer(s: CoreState, leading: Leading): void {
  const { transfer } = s
  if (transfer === undefined || transfer.sent) return
  let heir = leading.peers.get(transfer.to)
  if (transfer.ticket === undefined && heir !== undefined && !isClearlyWell(s, heir)) {
    // It fell ill meanwhile, and nobody asked for any of this.
    s.transfer = undefined
    return
  }
  if (!transfer.named && heir?.health === 'unfit') {
    // It fell ill meanwhile. Another may be there; if not, this leader stays.
    heir = bestHeir(s, leading)
    transfer.to = heir?.id ?? transfer.to
  }
  if (heir?.matchIndex !== s.log.lastIndex) return
  transfer.sent = true
  sendTimeoutNow(s, leading, transfer.to)
}

/** Answers the ticket once it is known who leads, or that it took too long. */
export function settleTransfer(s: CoreState): void {
  const { transfer } = s
  if (transfer === undefined) return
  if (s.leading === undefined && s.leader !== undefined) {
    s.transfer = undefined
    if (transfer.ticket !== undefined) s.out.push({ type: 'transferred', ticket: transfer.ticket })
  } else if (s.nowMs >= transfer.deadlineMs) {
    s.transfer = undefined
    if (transfer.ticket === undefined) return
    s.refuse(
      transfer.ticket,
      'transfer-failed',
      `${transfer.to} did not take over within ${s.options.electionTimeoutMs} ms`
    )
  }
}

/** Stops leading now, and lets the best voter campaign at once instead of after an election timeout (T32, T23). */
export function stepDownInFavour(s: CoreState, leading: Leading): void {
  const target = bestHeir(s, leading)
  if (target !== undefined) sendTimeoutNow(s, leading, target.id)
  becomeFollower(s, s.term, undefined)
}
