/**
 * How a daemon starts, decided from what it finds: pure, so that every case is a row of a test. `run.ts` carries it out.
 *
 * The rule behind it: a new cluster is formed only by a peer that never was in one. Whatever else, data of an old one stays
 * untouched until a join is confirmed.
 */

import type { Group, MembershipRecord } from './group-file.ts'

export interface Found {
  readonly self: string
  /** Of the consensus data in the folder; undefined if there is none. */
  readonly group: Group | undefined
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
  /** Ask the peers at these addresses to be let in. `current`: the data that is there, if any, stays until they have said yes. */
  | { readonly type: 'join'; readonly addresses: readonly string[]; readonly current: Group | undefined }
  /** Form a new cluster of these voters. */
  | { readonly type: 'form'; readonly voters: readonly string[] }
  /** Stop, and say why. */
  | { readonly type: 'refuse'; readonly reason: string }

export function planStart(found: Found): Plan {
  const { group, membership, bootstrap } = found
  if (bootstrap.length > 0) return { type: 'join', addresses: bootstrap, current: group }
  if (membership?.state === 'removed') {
    return {
      type: 'refuse',
      reason:
        `this peer was removed from cluster ${membership.clusterId} and starts no cluster of its own. ` +
        'To take part again, start it with --bootstrap <multiaddr of a member>.'
    }
  }
  if (group !== undefined) {
    const voters = votersOf(found)
    const note =
      voters.length > 1 && !found.logIsEmpty
        ? 'init_peerset is not used: the membership is in the consensus data'
        : undefined
    // A joiner whose log is still empty waits to be told; a peer of a fixed peerset forms with the others.
    const forms = found.logIsEmpty && membership === undefined
    return { type: 'restart', group, forming: found.logIsEmpty, voters: forms ? voters : undefined, note }
  }
  if (membership !== undefined) {
    return {
      type: 'refuse',
      reason:
        `this peer is a member of cluster ${membership.clusterId} and its consensus data is gone from the folder. ` +
        'It does not vote without it, and starts no cluster of its own. To take part again, start it with --bootstrap <multiaddr of a member>; ' +
        'to give up that cluster, remove membership.json.'
    }
  }
  return { type: 'form', voters: votersOf(found) }
}

/** The peerset with this peer in it, sorted, without duplicates. */
const votersOf = (found: Found): string[] => [...new Set([...found.initPeerset, found.self])].sort()
