/**
 * Handing leadership over (dissertation §3.10): the leader brings the target up to date, tells it to campaign at once, and takes no
 * proposals meanwhile. Abandoned after an election timeout.
 *
 * The same message is sent, without waiting, by a leader that has to go: one that was removed, or whose disk hangs.
 */

import type { Progress } from './progress.ts'
import { becomeFollower } from './roles.ts'
import type { CoreState, Leading } from './state.ts'
import type { NodeId } from './types.ts'

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
  const target = to ?? bestVoter(s, s.leading)?.id
  if (target === undefined || target === s.id || !s.log.config.config.voters.includes(target)) {
    const why =
      target === undefined ? 'there is no other voter' : target === s.id ? 'it leads already' : 'it is no voter'
    s.refuse(ticket, 'illegal-change', `leadership cannot go to ${target ?? 'anybody else'}: ${why}`)
    return
  }
  s.transfer = { ticket, to: target, deadlineMs: s.nowMs + s.options.electionTimeoutMs, sent: false }
}

/** Tells the target to campaign once it has all entries: then it wins, and nothing is lost by it. Ends every step of a leader. */
export function continueTransfer(s: CoreState, leading: Leading): void {
  const { transfer } = s
  if (transfer === undefined || transfer.sent) return
  if (leading.peers.get(transfer.to)?.matchIndex !== s.log.lastIndex) return
  transfer.sent = true
  s.send(transfer.to, { type: 'timeout-now', term: s.term })
}

/** Answers the ticket once it is known who leads, or that it took too long. */
export function settleTransfer(s: CoreState): void {
  const { transfer } = s
  if (transfer === undefined) return
  if (s.leading === undefined && s.leader !== undefined) {
    s.transfer = undefined
    s.out.push({ type: 'transferred', ticket: transfer.ticket })
  } else if (s.nowMs >= transfer.deadlineMs) {
    s.transfer = undefined
    s.refuse(
      transfer.ticket,
      'transfer-failed',
      `${transfer.to} did not take over within ${s.options.electionTimeoutMs} ms`
    )
  }
}

/** The other voter that has most of the log, of those heard lately if there are any. */
function bestVoter(s: CoreState, leading: Leading): Progress | undefined {
  const fresh = s.nowMs - s.options.electionTimeoutMs
  let best: Progress | undefined
  for (const peer of leading.peers.values()) {
    if (!s.log.config.config.voters.includes(peer.id)) continue
    const better =
      best === undefined ||
      (peer.contactAtMs >= fresh && best.contactAtMs < fresh) ||
      (peer.contactAtMs >= fresh === best.contactAtMs >= fresh && peer.matchIndex > best.matchIndex)
    if (better) best = peer
  }
  return best
}

/** Stops leading now, and lets the best voter campaign at once instead of after an election timeout (T32, T23). */
export function stepDownInFavour(s: CoreState, leading: Leading): void {
  const target = bestVoter(s, leading)
  if (target !== undefined) s.send(target.id, { type: 'timeout-now', term: s.term })
  becomeFollower(s, s.term, undefined)
}
