/**
 * How a member is named in a configuration: by its libp2p peer ID alone, or by peer ID, `#`, and the incarnation of its data folder. The
 * core takes names as they are; a peer that lost its folder comes back under another name, and so as a stranger that promised
 * nothing (T34). Two names of one peer may stand in a configuration at once: the voter that it was, and the learner that it is.
 *
 * The plain form is that of the first members by a fixed list, who know each other's peer IDs beforehand and nothing else, and of folders that
 * were made before there was another. The transport needs the peer of a name, the application both ways.
 */

import type { NodeId } from '../core/types.ts'

const SEPARATOR = '#'
const INCARNATION = /^[0-9a-f]{8,64}$/

/** The peer that a name is of. */
export function peerOf(name: NodeId): string {
  const at = name.indexOf(SEPARATOR)
  return at < 0 ? name : name.slice(0, at)
}

/**
 * The name of one life of a peer's data folder.
 *
 * @param incarnation - 8 to 64 lower-case hex digits, random, made with the folder
 * @throws {RangeError} when it is something else
 */
export function nodeNameOf(peer: string, incarnation: string): NodeId {
  if (!INCARNATION.test(incarnation)) throw new RangeError(`${JSON.stringify(incarnation)} is not an incarnation`)
  return `${peer}${SEPARATOR}${incarnation}`
}

/** Whether a name is one that this peer may carry: its own ID, alone or with an incarnation. */
export function isNameOf(name: NodeId, peer: string): boolean {
  return name === peer || (name.startsWith(`${peer}${SEPARATOR}`) && INCARNATION.test(name.slice(peer.length + 1)))
}
