/**
 * What a damaged log still proves: every entry, wherever it lies, that can be shown to follow the entry before it, and where the log ended
 * if that is certain. Called by `log-reader.ts` once there is a fault; `driver/repair.ts` puts a log together from it and from peers.
 *
 * An entry is taken as sound if some place that is read elsewhere (the entry before it, a segment's header, a commit's header, the base,
 * the mark) has the chain that its checksum was seeded with. Which of several sound entries of one index is the log's own is not judged
 * here: whoever walks back from a known end, by index and chain, meets the right one (T54).
 */

import { decodeConfig } from '../core/members.ts'
import { isIntact, parseRecord, payloadOf, recordLength } from '../core/record.ts'
import { type ClusterConfig, type Entry, EntryKind, type Index, type LogBase } from '../core/types.ts'
import type { LogPlace, LogRemains } from '../ports.ts'
import { checksum } from './checksum.ts'
import type { DurableMark } from './hard-state.ts'
import {
  decodeFrameHeader,
  decodeSegmentHeader,
  FRAME_HEADER_BYTES,
  findFrame,
  frameSeedOf,
  mayBeTorn,
  SEGMENT_HEADER_BYTES
} from './segment.ts'

export interface Remnants {
  /** Of the segments that belong to the log, in order; damaged ones too. */
  readonly segments: readonly Uint8Array[]
  readonly seed: number
  /** Undefined if it is lost. */
  readonly base: LogBase | undefined
  readonly mark: DurableMark
}

/** The commit with the highest number that can be read, and whether the log may have ended with it. */
interface LastFrame {
  readonly seq: number
  readonly end: LogPlace | undefined
  /** Nothing can have followed it in its file, and its file is the last. */
  readonly isTail: boolean
}

export function salvage(remnants: Remnants): LogRemains {
  const { segments, seed, base, mark } = remnants
  const entries: Entry[] = []
  const places = new Map<Index, Set<number>>()
  const know = (index: Index, chain: number): void => {
    const chains = places.get(index)
    if (chains === undefined) places.set(index, new Set([chain]))
    else chains.add(chain)
  }
  know(0, 0)
  if (base !== undefined) know(base.index, base.chain)
  if (mark.chain !== undefined) know(mark.lastIndex, mark.chain)

  let last: LastFrame | undefined
  for (const [n, bytes] of segments.entries()) {
    if (bytes.length < SEGMENT_HEADER_BYTES) continue
    const header = decodeSegmentHeader(bytes, seed)
    const sound = header !== undefined && header !== 'newer'
    if (sound) know(header.previousIndex, header.previousChain)
    // The field may be right although the header is not: then the checksums of the commits say so. They do the same in a file of another
    // node (T58), the entries of which prove themselves by their chains, and which tells nothing of where this log ended.
    const frameSeed = frameSeedOf(bytes)
    for (let at = findFrame(bytes, SEGMENT_HEADER_BYTES, frameSeed); at !== undefined; ) {
      const frame = decodeFrameHeader(bytes, at, frameSeed)!
      const after = at + FRAME_HEADER_BYTES + frame.bodyBytes
      const whole = readEntries(bytes, at + FRAME_HEADER_BYTES, Math.min(after, bytes.length), entries)
      const endIndex = frame.cutAfter + frame.count
      if (frame.count > 0) know(endIndex, frame.lastChain)
      if (sound && (last === undefined || frame.seq > last.seq)) {
        const isTail = after <= bytes.length && (after === bytes.length || mayBeTorn(bytes, after, bytes.length))
        last = {
          seq: frame.seq,
          end: frame.count > 0 ? { index: endIndex, chain: frame.lastChain } : undefined,
          isTail: isTail && n === segments.length - 1
        }
      }
      at = findFrame(bytes, whole ? after : at + FRAME_HEADER_BYTES, frameSeed)
    }
  }
  for (const { index, chain } of entries) know(index, chain)
  // Without a base, the last file may be of a repair that was cut short, since nothing says which files count.
  const end = endOf(base === undefined ? undefined : last, mark)
  return { find: linksOf(entries, places), end, configs: configsOf(entries, base) }
}

/** @returns whether all of them could be parsed */
function readEntries(bytes: Uint8Array, from: number, end: number, into: Entry[]): boolean {
  let at = from
  while (at < end) {
    const length = recordLength(bytes, at)
    const entry = length === undefined || at + length > end ? undefined : parseRecord(bytes, at)
    if (entry === undefined) return false
    into.push(entry)
    at += entry.record.length
  }
  return true
}

function linksOf(entries: readonly Entry[], places: ReadonlyMap<Index, ReadonlySet<number>>): LogRemains['find'] {
  const links = new Map<Index, { entry: Entry; previousChain: number }[]>()
  for (const entry of entries) {
    for (const previousChain of places.get(entry.index - 1) ?? []) {
      if (!isIntact(entry, previousChain, checksum)) continue
      const known = links.get(entry.index)
      if (known === undefined) links.set(entry.index, [{ entry, previousChain }])
      else known.push({ entry, previousChain })
    }
  }
  return (index, chain) => links.get(index)?.find(({ entry }) => entry.chain === chain)
}

/**
 * A log that was closed ends where its mark says. Otherwise it ends with the last commit, if that is the last thing in the last file and
 * the mark counts no later one; a tail that is rotten may have held more than the mark counts, so that then nobody knows.
 */
function endOf(last: LastFrame | undefined, mark: DurableMark): LogPlace | undefined {
  if (last !== undefined && last.seq > mark.seq) return last.isTail ? last.end : undefined
  if (mark.closed) return mark.chain === undefined ? undefined : { index: mark.lastIndex, chain: mark.chain }
  return last !== undefined && last.seq === mark.seq && last.isTail ? last.end : undefined
}

function configsOf(entries: readonly Entry[], base: LogBase | undefined): ClusterConfig[] {
  const configs = base === undefined ? [] : [base.config]
  for (const entry of entries) {
    const config = entry.kind === EntryKind.config ? decodeConfig(payloadOf(entry)) : undefined
    if (config !== undefined) configs.push(config)
  }
  return configs
}
