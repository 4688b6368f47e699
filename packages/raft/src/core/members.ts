/**
 * The algebra of configurations: who is in, which changes are legal and whether they need a joint phase, and the bytes of a
 * configuration inside a log entry. Pure functions over `ClusterConfig`; when a change may start is decided in
 * `membership.ts`, who makes up a majority in `quorum.ts`.
 *
 * A change of exactly one voter needs no joint phase, since any majority before and any majority after share a node
 * (dissertation §4.1), given the barrier of T29. Any other change of voters goes through the union (paper §6).
 *
 * Payload of a config entry: version byte 1, then the lists voters, outgoing, learners; each a 16-bit count and, for each
 * name, a 16-bit length and that many ASCII bytes. Little endian.
 */

import type { ClusterConfig, MembershipChange, NodeId } from './types.ts'

/** The configuration of a node that was never told one: it never campaigns and accepts any leader. */
export const EMPTY_CONFIG: ClusterConfig = { voters: [], outgoing: [], learners: [] }

const CODEC_VERSION = 1
/** Most nodes in one of the lists; far beyond what a group can run with. What is stored and received is held to the same. */
export const MAX_MEMBERS = 1024
/** Longest name, in characters. */
export const MAX_NAME_LENGTH = 256
/** Largest payload of a config entry: the version, and three full lists. */
export const MAX_CONFIG_BYTES = 1 + 3 * (2 + MAX_MEMBERS * (2 + MAX_NAME_LENGTH))

/** Whether nobody's vote but that of `id` counts. */
export function isOnlyVoter({ voters, outgoing }: ClusterConfig, id: NodeId): boolean {
  return voters.length === 1 && voters[0] === id && outgoing.length === 0
}

/** Whether `id` takes part in decisions: a voter, old or new. */
export function isVoter(config: ClusterConfig, id: NodeId): boolean {
  return config.voters.includes(id) || config.outgoing.includes(id)
}

/** All nodes that are to be sent the log, each once, in a stable order. */
export function membersOf(config: ClusterConfig): NodeId[] {
  return [...new Set([...config.voters, ...config.outgoing, ...config.learners])].sort(byCodeUnits)
}

export function isJoint(config: ClusterConfig): boolean {
  return config.outgoing.length > 0
}

export function sameConfig(a: ClusterConfig, b: ClusterConfig): boolean {
  return (
    a === b || (sameList(a.voters, b.voters) && sameList(a.outgoing, b.outgoing) && sameList(a.learners, b.learners))
  )
}

function sameList(a: readonly NodeId[], b: readonly NodeId[]): boolean {
  return a.length === b.length && a.every((id, i) => id === b[i])
}

/** The order of names: by code unit, the same on every machine and in every locale (T45). */
function byCodeUnits(a: NodeId, b: NodeId): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/**
 * The first configuration on the way from `current` to `change`: the last one, if one step is enough, or the joint one.
 *
 * @returns why not, in words, if the change is not legal
 */
export function planChange(current: ClusterConfig, change: MembershipChange): ClusterConfig | string {
  const target: ClusterConfig = {
    voters: [...change.voters].sort(byCodeUnits),
    outgoing: [],
    learners: [...change.learners].sort(byCodeUnits)
  }
  const fault = configFault(target)
  if (fault !== undefined) return fault
  const added = target.voters.filter((id) => !current.voters.includes(id)).length
  const removed = current.voters.filter((id) => !target.voters.includes(id)).length
  return added + removed <= 1 ? target : { ...target, outgoing: current.voters }
}

/** What follows a joint configuration. A learner that was an outgoing voter is one from here on. */
export function leaveJoint(config: ClusterConfig): ClusterConfig {
  return { voters: config.voters, outgoing: [], learners: config.learners }
}

/** Why `config` cannot be one with which a group works; undefined if it can. */
export function configFault(config: ClusterConfig): string | undefined {
  if (config.voters.length === 0) return 'it leaves no voter'
  for (const list of [config.voters, config.outgoing, config.learners]) {
    if (list.length > MAX_MEMBERS) return `it names ${list.length} nodes in one list, and ${MAX_MEMBERS} are allowed`
    for (let i = 0; i < list.length; i++) {
      const id = list[i]!
      if (!isName(id)) return `${JSON.stringify(id)} is not a name: 1 to ${MAX_NAME_LENGTH} ASCII characters are`
      if (i > 0 && list[i - 1] === id) return `it names ${id} twice`
      if (i > 0 && list[i - 1]! > id) return `its lists are not sorted at ${id}`
    }
  }
  const both = config.learners.find((id) => config.voters.includes(id))
  return both === undefined ? undefined : `it names ${both} both as a voter and as a learner`
}

function isName(id: NodeId): boolean {
  if (id.length === 0 || id.length > MAX_NAME_LENGTH) return false
  for (let i = 0; i < id.length; i++) if (id.charCodeAt(i) > 0x7f) return false
  return true
}

/** The payload of a config entry. `config` must be free of faults. */
export function encodeConfig(config: ClusterConfig): Uint8Array {
  const lists = [config.voters, config.outgoing, config.learners]
  let length = 1
  for (const list of lists) {
    length += 2
    for (const id of list) length += 2 + id.length
  }
  const bytes = new Uint8Array(length)
  bytes[0] = CODEC_VERSION
  let at = 1
  const u16 = (value: number): void => {
    bytes[at++] = value
    bytes[at++] = value >>> 8
  }
  for (const list of lists) {
    u16(list.length)
    for (const id of list) {
      u16(id.length)
      for (let i = 0; i < id.length; i++) bytes[at++] = id.charCodeAt(i)
    }
  }
  return bytes
}

/** Reads the payload of a config entry; undefined if it is not one, down to order and doubles. */
export function decodeConfig(bytes: Uint8Array): ClusterConfig | undefined {
  if (bytes[0] !== CODEC_VERSION) return undefined
  let at = 1
  const u16 = (): number => {
    const value = at + 2 <= bytes.length ? bytes[at]! | (bytes[at + 1]! << 8) : Number.NaN
    at += 2
    return value
  }
  const list = (): NodeId[] | undefined => {
    const count = u16()
    const ids: NodeId[] = []
    for (let n = 0; n < count; n++) {
      const length = u16()
      if (!(at + length <= bytes.length)) return undefined
      let id = ''
      for (let i = 0; i < length; i++) id += String.fromCharCode(bytes[at + i]!)
      at += length
      ids.push(id)
    }
    return Number.isNaN(count) ? undefined : ids
  }
  const voters = list()
  const outgoing = voters && list()
  const learners = outgoing && list()
  if (voters === undefined || outgoing === undefined || learners === undefined || at !== bytes.length) return undefined
  const config: ClusterConfig = { voters, outgoing, learners }
  return configFault(config) === undefined ? config : undefined
}
