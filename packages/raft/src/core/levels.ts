/**
 * The feature level of the group: what all of its members know (T59). A version that knows more than others writes nothing new
 * before the level says that everybody can read it, so a group is upgraded one node at a time.
 *
 * The level stands in the log, as the last entry of kind `level`, and in the base of a log or a snapshot. The leader raises it
 * when every member, learner or voter, has said in the hello of its present connection that it knows more; who is not connected, or
 * did not say, holds the raise up. It never falls: who does not know the level of the group does not take part (`announcements.ts`).
 *
 * `raft.ts` calls this for streams, `leading.ts` at the end of a step.
 */

import { encodeLevel } from './announcements.ts'
import { isJoint, MAX_MEMBERS } from './members.ts'
import { hasCommittedInTerm } from './reads.ts'
import { appendOwn } from './replication.ts'
import type { CoreState, Leading } from './state.ts'
import { EntryKind, type NodeId } from './types.ts'

/** Most peers whose level is remembered: three full lists of a configuration. */
const MAX_KNOWN_PEERS = 3 * MAX_MEMBERS

/** A peer connected, and said what it knows; or said nothing of it. */
export function peerSaysLevel(s: CoreState, peer: NodeId, level: number | undefined): void {
  s.peerLevels.delete(peer)
  if (level === undefined || s.peerLevels.size >= MAX_KNOWN_PEERS) return
  s.peerLevels.set(peer, level)
}

/** It may come back as another version. */
export function peerLeft(s: CoreState, peer: NodeId): void {
  s.peerLevels.delete(peer)
}

/** Raises the level as far as everybody knows, once the last raise, and a change of members, are over. */
export function settleLevel(s: CoreState, leading: Leading): void {
  const { index, value } = s.log.levels.last
  if (s.supportedLevel <= value || index > s.log.commitIndex || s.transfer !== undefined) return
  const { config, index: configIndex } = s.log.config
  if (configIndex > s.log.commitIndex || isJoint(config) || !hasCommittedInTerm(s, leading)) return
  let level = s.supportedLevel
  if (!s.mutations.has('level-raised-unasked')) {
    // Whoever is sent the log, so that nobody who was just removed meets there what it does not know.
    for (const id of leading.peers.keys()) level = Math.min(level, s.peerLevels.get(id) ?? value)
  }
  if (level > value) appendOwn(s, EntryKind.level, encodeLevel(level))
}
