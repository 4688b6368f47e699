/**
 * What the log says about the versions and leases of those who write it: the payload of a `level` entry (T59), and of the no-op
 * with which a leader opens its term (T49). Both go through the log so that nobody can be set up differently from the others: who
 * holds the entry knows, and who leads next holds it. Pure functions; the rules are in `levels.ts` and `lease.ts`.
 *
 * | entry | payload |
 * | --- | --- |
 * | `level` | 16 bits: the feature level from here on. Little endian |
 * | `noop` | nothing: its leader takes no leases. Or 32 bits: the length of its leases in milliseconds |
 */

import { payloadOf } from './record.ts'
import { type Entry, EntryKind, type LogBase } from './types.ts'

/** The level at which every group begins. */
export const FIRST_LEVEL = 1

/** The highest feature level that this version knows; whatever all members must know before it is used raises it. */
export const SUPPORTED_LEVEL = 1

/** The highest level that has a place in the hello. */
const MAX_LEVEL = 255

/** @throws {RangeError} when no version can know the levels up to `supported` */
export function checkSupportedLevel(supported: number): void {
  if (Number.isInteger(supported) && supported >= FIRST_LEVEL && supported <= MAX_LEVEL) return
  throw new RangeError(`supportedLevel is ${supported}, but must be a whole number from ${FIRST_LEVEL} to ${MAX_LEVEL}`)
}

export function encodeLevel(level: number): Uint8Array {
  return Uint8Array.of(level, level >>> 8)
}

/** @returns undefined if the entry is no announcement of a level */
export function levelOf(entry: Entry): number | undefined {
  const payload = payloadOf(entry)
  if (payload.length !== 2) return undefined
  const level = payload[0]! | (payload[1]! << 8)
  return level >= FIRST_LEVEL && level <= MAX_LEVEL ? level : undefined
}

export function encodeLease(leaseMs: number): Uint8Array {
  return leaseMs === 0 ? new Uint8Array(0) : Uint8Array.of(leaseMs, leaseMs >>> 8, leaseMs >>> 16, leaseMs >>> 24)
}

/** The lease that the writer of this no-op says it may take, in milliseconds; 0 for none. Below 2^32; none is longer than `MAX_LEASE_MS`. */
export function leaseOf(noop: Entry): number {
  const payload = payloadOf(noop)
  if (payload.length < 4) return 0
  return (payload[0]! | (payload[1]! << 8) | (payload[2]! << 16) | (payload[3]! << 24)) >>> 0
}

/**
 * Why a node that knows the levels up to `supported` cannot go on from this entry; undefined if it can. Skipping what it does not
 * know would make its state another than that of the others.
 */
export function entryFault(entry: Entry, supported: number): string | undefined {
  const { index, kind } = entry
  if (kind > EntryKind.level) {
    return `entry ${index} is of kind ${kind}, of a feature level above ${supported}, the highest that this version knows: start a newer version`
  }
  if (kind !== EntryKind.level) return undefined
  const level = levelOf(entry)
  if (level === undefined) return `entry ${index} says that it is a feature level and is none`
  return level > supported ? unknownLevel(level, `since entry ${index}`, supported) : undefined
}

/** Why it cannot go on from a whole log. */
export function logFault(base: LogBase, entries: readonly Entry[], supported: number): string | undefined {
  return baseFault(base, supported) ?? entries.map((entry) => entryFault(entry, supported)).find(Boolean)
}

/** The feature level at the end of a log. */
export function levelAfter(base: LogBase, entries: readonly Entry[]): number {
  const last = entries.findLast((entry) => entry.kind === EntryKind.level)
  return (last === undefined ? base.level : levelOf(last)) ?? FIRST_LEVEL
}

/** Why it cannot go on from a snapshot, or from where a log begins. */
export function baseFault(base: LogBase, supported: number): string | undefined {
  const level = base.level ?? FIRST_LEVEL
  return level > supported ? unknownLevel(level, `by entry ${base.index}`, supported) : undefined
}

function unknownLevel(level: number, where: string, supported: number): string {
  return `the group is at feature level ${level} ${where}, and ${supported} is the highest that this version knows: start a newer version`
}
