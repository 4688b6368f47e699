/**
 * Changing the members (paper §6; dissertation §4): when a change may start, how the leader leaves a joint configuration, whom it
 * replicates to, and what becomes of a leader that is not in the new configuration. The algebra is in `members.ts`.
 *
 * A configuration is in force from the moment it is appended, and out of force if its entry is cut (T30; `log.ts`).
 */

import { encodeConfig, isJoint, isVoter, leaveJoint, membersOf, planChange } from './members.ts'
import { FAREWELL_TIMEOUTS } from './options.ts'
import { Progress } from './progress.ts'
import { hasCommittedInTerm } from './reads.ts'
import { appendOwn } from './replication.ts'
import type { CoreState, Leading } from './state.ts'
import { stepDownInFavour } from './transfer.ts'
import { type ClusterConfig, EntryKind, type Index, type MembershipChange } from './types.ts'

/** Takes a change, or says why not. */
export function changeMembers(s: CoreState, ticket: number, change: MembershipChange): void {
  const { leading } = s
  if (leading === undefined) {
    s.refuseNotLeader(ticket)
    return
  }
  if (s.transfer !== undefined) {
    s.refuse(ticket, 'transferring', `leadership is being handed to ${s.transfer.to}`)
    return
  }
  const obstacle = changeObstacle(s, leading)
  if (obstacle !== undefined) {
    s.refuse(ticket, 'change-in-progress', obstacle)
    return
  }
  const next = planChange(s.log.config.config, change)
  if (typeof next === 'string') {
    s.refuse(ticket, 'illegal-change', `the membership cannot be changed so: ${next}`)
    return
  }
  const level = s.log.levels.last.value
  const old = membersOf(next).find((id) => (s.peerLevels.get(id) ?? level) < level)
  if (old !== undefined) {
    const known = s.peerLevels.get(old)
    const detail = `${old} knows feature levels up to ${known}, and the group is at ${level}: start a newer version there first`
    s.refuse(ticket, 'illegal-change', detail)
    return
  }
  const sorted = !s.mutations.has('names-in-own-order')
  const index = appendConfig(s, leading, sorted ? next : { ...next, voters: next.voters.toReversed() })
  s.out.push({ type: 'proposed', ticket, first: index, last: index, term: s.term })
}

/**
 * The barrier before a change (T29): the configuration in force is committed, so that changes follow one another; and an entry of
 * this leader's term is committed, so that no other leader can still commit a change that starts from the same
 * configuration (Ongaro's correction of 2015 to single-server changes).
 */
function changeObstacle(s: CoreState, leading: Leading): string | undefined {
  const { index, config } = s.log.config
  if (index > s.log.commitIndex && !s.mutations.has('change-on-uncommitted-config'))
    return `the configuration at ${index} is not committed yet`
  if (isJoint(config)) return `the joint configuration at ${index} is not left yet`
  if (!hasCommittedInTerm(s, leading) && !s.mutations.has('no-own-term-barrier')) {
    return `nothing of term ${s.term} is committed yet`
  }
  return undefined
}

function appendConfig(s: CoreState, leading: Leading, config: ClusterConfig): number {
  const { index } = appendOwn(s, EntryKind.config, encodeConfig(config))
  trackPeers(s, leading, index)
  return index
}

/**
 * Gives each member a progress. Who is no member any more keeps his for a while, to learn that the change is committed.
 *
 * @param nextIndex - the entry to offer a new peer first: the one just appended, or about to be, so that it hears at once
 */
export function trackPeers(s: CoreState, leading: Leading, nextIndex: Index): void {
  const members = membersOf(s.log.config.config)
  for (const id of members) {
    if (id === s.id) continue
    // From learner to voter, or back: what is known of its log stays known (T33). Who had left and comes back may have lost its
    // disk meanwhile: nothing is known of it (T34).
    const known = leading.peers.get(id)
    if (known !== undefined && known.farewellUntilMs === undefined) continue
    const { maxInflightMessages, maxInflightBytes } = s.options
    leading.peers.set(id, new Progress(id, nextIndex, s.nowMs, maxInflightMessages, maxInflightBytes))
  }
  for (const peer of leading.peers.values()) {
    if (!members.includes(peer.id)) peer.farewellUntilMs ??= Number.POSITIVE_INFINITY
  }
}

/**
 * What follows from a commit: a committed joint configuration is left, by whichever leader commits it, so that a client that died
 * leaves nothing half done (T33); a leader that is not in the committed configuration hands over and goes (T32).
 */
export function settleMembership(s: CoreState, leading: Leading): void {
  const { index, config } = s.log.config
  if (index > s.log.commitIndex || !hasCommittedInTerm(s, leading)) return
  if (isJoint(config)) {
    if (s.mutations.has('joint-never-left')) return
    appendConfig(s, leading, leaveJoint(config))
    return
  }
  for (const peer of leading.peers.values()) {
    if (peer.farewellUntilMs === Number.POSITIVE_INFINITY) {
      peer.farewellUntilMs = s.nowMs + FAREWELL_TIMEOUTS * s.options.electionTimeoutMs
    }
  }
}

/** A leader that the committed configuration does not name goes, after `flushPeers` has told the others what is committed (T32). */
export function leaveIfRemoved(s: CoreState, leading: Leading): void {
  const { index, config } = s.log.config
  if (index > s.log.commitIndex || isVoter(config, s.id) || s.mutations.has('removed-leader-stays')) return
  stepDownInFavour(s, leading)
}

/** Forgets removed peers that had time to learn of it. */
export function tickFarewells(s: CoreState, leading: Leading): void {
  for (const peer of leading.peers.values()) {
    if (peer.farewellUntilMs !== undefined && s.nowMs >= peer.farewellUntilMs) leading.peers.delete(peer.id)
  }
}
