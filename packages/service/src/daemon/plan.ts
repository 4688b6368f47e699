/**
 * How a daemon starts, decided from what it finds: pure, so that every case is a row of a test. `run.ts` carries it out.
 *
 * The rules behind it: a new cluster is formed only by a peer that never was in one; a member that may have lost what it promised comes
 * back under a new name; one that was removed stays out. Whatever else, data of an old life stays untouched until a join is confirmed.
 */

import type { Group, MembershipRecord } from './group-file.ts'

export interface Found {
  readonly self: string
  /** Of the consensus data in the folder; undefined if there is none. */
  readonly group: Group | undefined
  /**
   * Why the data that is there may not be used under its name: it is an older copy, or damaged beyond repair. Set without a group when
   * nobody can tell any more whose data it is. Undefined: nothing is known against it.
   */
  readonly lost: string | undefined
  /** Whether the log holds anything: a fixed peerset that never had a leader has data and no entry. */
  readonly logIsEmpty: boolean
  readonly membership: MembershipRecord | undefined
  /** `--bootstrap` addresses. */
  readonly bootstrap: readonly string[]
  /** `raft.init_peerset` of the configuration. */
  readonly initPeerset: readonly string[]
}

export type Plan =
  /** Go on with the data that is there. `forming`: a leader has to be found in time, or the start fails. */
  | {
      readonly type: 'restart'
      readonly group: Group
      readonly forming: boolean
      /** Set while nothing was agreed yet: the first configuration, as far as this peer has a say in it. */
      readonly voters: readonly string[] | undefined
      readonly note: string | undefined
    }
  /** Ask the peers at these addresses to be let in. `current`: the sound data that is there, if any, stays until they have said yes. */
  | { readonly type: 'join'; readonly addresses: readonly string[]; readonly current: Group | undefined }
  /** Come back to this cluster under a new name, through whichever member can be reached, however long that takes. */
  | { readonly type: 'rejoin'; readonly clusterId: string; readonly why: string }
  /** Form a new cluster of these voters. */
  | { readonly type: 'form'; readonly voters: readonly string[] }
  /** Stop, and say why. */
  | { readonly type: 'refuse'; readonly reason: string }

export function planStart(found: Found): Plan {
  const { group, membership, bootstrap } = found
  const lost = found.lost ?? group?.quarantined
  if (bootstrap.length > 0) {
    return { type: 'join', addresses: bootstrap, current: lost === undefined ? group : undefined }
  }
  if (membership?.state === 'removed') {
    return {
      type: 'refuse',
      reason:
        `this peer was removed from cluster ${membership.clusterId} and starts no cluster of its own. ` +
        'To take part again, start it with --bootstrap <multiaddr of a member>.'
    }
  }
  if (group !== undefined && lost !== undefined) return { type: 'rejoin', clusterId: group.clusterId, why: lost }
  if (group !== undefined && group.name === undefined && membership !== undefined && found.logIsEmpty) {
    // A first member by `init_peerset` that was READY once had an entry at least.
    return { type: 'rejoin', clusterId: group.clusterId, why: 'its log is gone from the folder' }
  }
  if (group !== undefined) {
    // A name of its own has, before anything was agreed, only who forms alone.
    const voters = group.name === undefined ? votersOf(found) : [found.self]
    const note =
      votersOf(found).length > 1 && !found.logIsEmpty
        ? 'init_peerset is not used: the membership is in the consensus data'
        : undefined
    // A joiner whose log is still empty waits to be told; a peer of a fixed peerset forms with the others.
    const forms = found.logIsEmpty && membership === undefined
    return { type: 'restart', group, forming: found.logIsEmpty, voters: forms ? voters : undefined, note }
  }
  if (membership !== undefined) {
    return {
      type: 'rejoin',
      clusterId: membership.clusterId,
      why: lost ?? 'its consensus data is gone from the folder'
    }
  }
  if (lost !== undefined) {
    return {
      type: 'refuse',
      reason:
        `this peer cannot tell which cluster it belongs to: ${lost}. To let it join again, start it with --bootstrap <multiaddr of a member>; ` +
        'what is in its folder is kept aside then. If it is to form a new cluster, move these files away.'
    }
  }
  return { type: 'form', voters: votersOf(found) }
}

/** The peerset with this peer in it, sorted, without duplicates. */
const votersOf = (found: Found): string[] => [...new Set([...found.initPeerset, found.self])].sort()
