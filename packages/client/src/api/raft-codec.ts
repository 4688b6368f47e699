/**
 * The agreement of the cluster as JSON: who leads, who votes, and how far each peer has come. Not of IPFS Cluster's API, which has no
 * such routes. Read by `peers raft` and `peers transfer` of the command line; `service/src/consensus/leadership.ts` fills it in.
 */

import { parsePeerId } from './identifiers.ts'
import {
  type Codec,
  DecodeError,
  type JsonObject,
  omitEmpty,
  readInteger,
  readList,
  readObject,
  readOptional,
  readRequired,
  readString,
  readStrings
} from './json.ts'
import type { PeerIdString } from './types.ts'

export const raftRoles = ['leader', 'candidate', 'pre-candidate', 'follower', ''] as const
/** What a peer is in the agreement at the moment. Empty: it could not be asked. */
export type RaftRole = (typeof raftRoles)[number]

export const raftVoices = ['voter', 'learner', 'leaving', ''] as const
/** `leaving`: a voter of the configuration that a change under way replaces. Empty: no member, or not known. */
export type RaftVoice = (typeof raftVoices)[number]

export const raftProgressStates = ['probe', 'replicate', 'snapshot'] as const
/** `probe`: where the logs agree is being found out; `replicate`: entries are sent; `snapshot`: it fetches one. */
export type RaftProgressState = (typeof raftProgressStates)[number]

/** How a follower stands, as its leader sees it. */
export interface RaftFollower {
  readonly id: PeerIdString
  readonly state: RaftProgressState
  /** Entries up to here are on its disk. */
  readonly matchIndex: number
  readonly nextIndex: number
  /** Messages with entries that it has not answered. */
  readonly inflightMessages: number
  /** Since its last answer, in whole milliseconds; undefined if there was none in this term. */
  readonly lastContactMs: number | undefined
}

/** One peer's part in the agreement, as it sees itself. */
export interface RaftPeer {
  readonly id: PeerIdString
  readonly peername: string
  /** Not empty: the peer could not be asked, and of the rest only `voice` is known, from the peer that answers. */
  readonly error: string
  readonly role: RaftRole
  readonly voice: RaftVoice
  readonly term: number
  /** Who leads, as far as it knows. */
  readonly leader: PeerIdString | undefined
  /** Its log begins after here. */
  readonly baseIndex: number
  readonly lastIndex: number
  /** Entries up to here are on its disk. */
  readonly durableIndex: number
  readonly commitIndex: number
  /** Entries up to here are in its pinset. */
  readonly appliedIndex: number
  readonly voters: readonly PeerIdString[]
  readonly learners: readonly PeerIdString[]
  /** Voters of the configuration that a change under way replaces. */
  readonly outgoing: readonly PeerIdString[]
  /** Only of the leader. */
  readonly followers: readonly RaftFollower[]
  /** Its state in further words of the day, such as `level: 2`; in order. */
  readonly notes: readonly string[]
}

/** Who leads after a hand-over. */
export interface RaftLeader {
  readonly leader: PeerIdString
}

function readWord<T extends string>(json: JsonObject, key: string, at: string, words: readonly T[]): T {
  const text = readString(json, key, at)
  const word = words.find((known) => known === text)
  if (word === undefined) throw new DecodeError(`${at}.${key}`, `expected one of ${words.join(', ')}`)
  return word
}

const followerCodec: Codec<RaftFollower> = {
  encode: (follower) => ({
    id: follower.id,
    state: follower.state,
    match_index: follower.matchIndex,
    next_index: follower.nextIndex,
    inflight_messages: follower.inflightMessages,
    last_contact_ms: follower.lastContactMs
  }),
  decode: (value) => {
    const at = 'raft.followers'
    const json = readObject(value, at)
    return {
      id: readRequired(json, 'id', at, parsePeerId),
      state: readWord(json, 'state', at, raftProgressStates),
      matchIndex: readInteger(json, 'match_index', at),
      nextIndex: readInteger(json, 'next_index', at),
      inflightMessages: readInteger(json, 'inflight_messages', at),
      lastContactMs: json.last_contact_ms === undefined ? undefined : readInteger(json, 'last_contact_ms', at)
    }
  }
}

export const raftPeerCodec: Codec<RaftPeer> = {
  encode: (peer) => ({
    id: peer.id,
    peername: peer.peername,
    error: peer.error,
    role: peer.role,
    voice: peer.voice,
    term: peer.term,
    leader: omitEmpty(peer.leader),
    base_index: peer.baseIndex,
    last_index: peer.lastIndex,
    durable_index: peer.durableIndex,
    commit_index: peer.commitIndex,
    applied_index: peer.appliedIndex,
    voters: peer.voters,
    learners: peer.learners,
    outgoing: peer.outgoing,
    followers: peer.followers.map(followerCodec.encode),
    notes: peer.notes
  }),
  decode: (value) => {
    const at = 'raft'
    const json = readObject(value, at)
    return {
      id: readRequired(json, 'id', at, parsePeerId),
      peername: readString(json, 'peername', at),
      error: readString(json, 'error', at),
      role: readWord(json, 'role', at, raftRoles),
      voice: readWord(json, 'voice', at, raftVoices),
      term: readInteger(json, 'term', at),
      leader: readOptional(json, 'leader', at, parsePeerId),
      baseIndex: readInteger(json, 'base_index', at),
      lastIndex: readInteger(json, 'last_index', at),
      durableIndex: readInteger(json, 'durable_index', at),
      commitIndex: readInteger(json, 'commit_index', at),
      appliedIndex: readInteger(json, 'applied_index', at),
      voters: readStrings(json, 'voters', at, parsePeerId),
      learners: readStrings(json, 'learners', at, parsePeerId),
      outgoing: readStrings(json, 'outgoing', at, parsePeerId),
      followers: readList(json, 'followers', at, followerCodec.decode),
      notes: readStrings(json, 'notes', at, (note) => note)
    }
  }
}

export const raftLeaderCodec: Codec<RaftLeader> = {
  encode: ({ leader }) => ({ leader }),
  decode: (value) => ({ leader: readRequired(readObject(value, 'transfer'), 'leader', 'transfer', parsePeerId) })
}
