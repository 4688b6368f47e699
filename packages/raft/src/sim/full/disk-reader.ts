/**
 * The judges' own reading of a disk: term, vote and log as they stand on the platter, damage left out, nodes that are down included (T60). Reads on
 * from where it was, since it is asked after every sync; whatever is more than a commit added at the end is read anew from the beginning.
 *
 * Knows the formats of `storage/`, of which it uses the decoding of single records, and shares nothing else with the reader of a node. Called by
 * `full-node.ts`; `disk-nemesis.ts` asks it which bytes may rot.
 */

import type { HardState, LogBase } from '../../core/types.ts'
import type { SnapshotManifest } from '../../ports.ts'
import { readU32, readU64 } from '../../storage/bytes.ts'
import { decodeCheckedJson } from '../../storage/checked-json.ts'
import { checksum } from '../../storage/checksum.ts'
import { decodeSegmentHeader, frameCutOf, type Replay, replayFrame, segmentNumber } from '../../storage/segment.ts'
import { decodeManifest } from '../../storage/snapshot-manifest.ts'
import type { DiskImage } from '../disk.ts'
import { FileNode, FolderNode } from './platter.ts'

const SLOT_BYTES = 4096
const SEGMENT_HEADER_BYTES = 64

/** A part of a file that was durable, and is known to have been. */
export interface Extent {
  readonly node: FileNode
  readonly name: string
  readonly from: number
  readonly to: number
}

interface Commit extends Extent {
  readonly seq: number
}

/** Whether a snapshot at `base` stands on the platter, whole. */
export function holdsSnapshot(root: FolderNode, base: LogBase): boolean {
  const raft = root.durableNames.get('raft')
  const folder = raft instanceof FolderNode ? raft.durableNames.get('snapshots') : undefined
  if (!(folder instanceof FolderNode)) return false
  for (const [name, node] of folder.durableNames) {
    if (!(node instanceof FolderNode) || /\.(new|part)$/.test(name)) continue
    const manifest = decodedManifest(node)
    if (manifest?.base.index === base.index && manifest.base.chain === base.chain && isWhole(node, manifest))
      return true
  }
  return false
}

function decodedManifest(folder: FolderNode): SnapshotManifest | undefined {
  const file = folder.durableNames.get('manifest.json')
  return file instanceof FileNode ? decodeManifest(file.platter.view()) : undefined
}

function isWhole(folder: FolderNode, { chunks }: SnapshotManifest): boolean {
  const file = folder.durableNames.get('data')
  if (!(file instanceof FileNode)) return false
  let at = 0
  for (const { bytes, crc32 } of chunks) {
    if (checksum(file.platter.view().subarray(at, at + bytes), 0) !== crc32) return false
    at += bytes
  }
  return true
}

interface BaseRecord {
  readonly context: number
  readonly base: LogBase
  readonly firstSegment: number
  readonly seq: number
  readonly before?: number
}

export class DiskReader {
  readonly #root: FolderNode
  readonly #seed: number
  readonly #image: DiskImage
  #folder: FolderNode | undefined
  #folderVersion = -1
  #hardStateVersion = -1
  #hardStateNode: FileNode | undefined
  #baseNode: FileNode | undefined
  #baseVersion = -1
  #base: BaseRecord | undefined
  #replay: Replay | undefined
  #segments: { readonly name: string; readonly number: number; readonly node: FileNode }[] = []
  /** Place in `#segments` of the one that is read. */
  #at = 0
  #offset = 0
  #rewrites = 0
  #markedSeq = 0
  #commits: Commit[] = []

  /**
   * @param root - the disk; its folder `raft` is read
   * @param seed - of all checksums in it
   * @param image - is kept as the platter is
   */
  constructor(root: FolderNode, seed: number, image: DiskImage) {
    this.#root = root
    this.#seed = seed
    this.#image = image
  }

  /** Brings the image up to date. @returns whether term or vote changed */
  refresh(): boolean {
    const folder = this.#root.durableNames.get('raft')
    if (!(folder instanceof FolderNode)) return false
    const renamed = folder !== this.#folder || folder.version !== this.#folderVersion
    this.#folder = folder
    if (renamed) this.#readNames(folder)
    const voted = this.#readHardState()
    const rebased = this.#readBase()
    if (rebased || this.#rewritten()) this.#readAnew()
    else this.#readOn()
    this.#folderVersion = folder.version
    return voted
  }

  /** Commits that the hard state counts as durable: rot in them must not go unnoticed. */
  markedCommits(): readonly Extent[] {
    return this.#commits.filter(({ seq }) => seq <= this.#markedSeq)
  }

  #readNames(folder: FolderNode): void {
    const hardState = folder.durableNames.get('hard-state')
    const base = folder.durableNames.get('base.json')
    if (hardState !== this.#hardStateNode) this.#hardStateVersion = -1
    if (base !== this.#baseNode) this.#baseVersion = -1
    this.#hardStateNode = hardState instanceof FileNode ? hardState : undefined
    this.#baseNode = base instanceof FileNode ? base : undefined
    const current = this.#segments[this.#at]
    this.#segments = []
    for (const [name, node] of folder.durableNames) {
      const number = segmentNumber(name)
      if (number !== undefined && node instanceof FileNode) this.#segments.push({ name, number, node })
    }
    this.#segments.sort((a, b) => a.number - b.number)
    // What a repair is still writing is no part of the log.
    const { firstSegment = 1, before = Number.POSITIVE_INFINITY } = this.#base ?? {}
    this.#segments = this.#segments.filter(({ number }) => number >= firstSegment && number < before)
    this.#at = current === undefined ? 0 : this.#segments.findIndex(({ node }) => node === current.node)
    // What was being read is gone: its base must have moved.
    if (this.#at < 0) this.#baseVersion = -1
  }

  #readHardState(): boolean {
    const node = this.#hardStateNode
    if (node === undefined || node.version === this.#hardStateVersion) return false
    this.#hardStateVersion = node.version
    const bytes = node.platter.view()
    let newest = -1
    let read: HardState | undefined
    for (let at = 0; at + SLOT_BYTES <= bytes.length; at += SLOT_BYTES) {
      const slot = bytes.subarray(at, at + SLOT_BYTES)
      if (readU32(slot, 8) !== checksum(slot.subarray(12), this.#seed)) continue
      const version = readU64(slot, 16)
      if (version <= newest) continue
      newest = version
      const voteBytes = readU32(slot, 52)
      const votedFor = voteBytes === 0xffff_ffff ? undefined : Buffer.from(slot.subarray(64, 64 + voteBytes)).toString()
      read = { term: readU64(slot, 24), votedFor }
      this.#markedSeq = readU64(slot, 32)
    }
    const { hardState } = this.#image
    if (read === undefined || (read.term === hardState.term && read.votedFor === hardState.votedFor)) return false
    this.#image.hardState = read
    return true
  }

  #readBase(): boolean {
    const node = this.#baseNode
    if (node === undefined || node.version === this.#baseVersion) return false
    this.#baseVersion = node.version
    const read = decodeCheckedJson(node.platter.view()) as BaseRecord | undefined
    if (read?.context !== this.#seed) return false
    this.#base = read
    return true
  }

  #rewritten(): boolean {
    const current = this.#segments[this.#at]
    return current !== undefined && current.node.rewrites !== this.#rewrites
  }

  #readAnew(): void {
    const base = this.#base
    if (base === undefined) return
    if (this.#folder !== undefined) this.#readNames(this.#folder)
    this.#replay = undefined
    this.#commits = []
    this.#at = 0
    this.#offset = 0
    this.#rewrites = this.#segments[0]?.node.rewrites ?? 0
    this.#image.log.reset(base.base)
    this.#readOn()
  }

  #readOn(): void {
    for (;;) {
      const current = this.#segments[this.#at]
      if (current === undefined || this.#base === undefined) return
      const bytes = current.node.platter.view()
      if (this.#offset === 0 && !this.#begin(current.name, current.node, bytes)) return
      const frameSeed = readU32(bytes, 8)
      while (this.#offset < bytes.length) {
        const at = this.#offset
        const replay = this.#replay as Replay
        // Records that are kept must not change with the platter.
        const next = replayFrame(Uint8Array.from(bytes.subarray(at)), 0, frameSeed, replay)
        if (typeof next !== 'number') break
        this.#offset = at + next
        this.#take(frameCutOf(bytes, at), replay)
        const { name, node } = current
        this.#commits.push({ node, name, from: at, to: this.#offset, seq: replay.seq })
      }
      const following = this.#segments[this.#at + 1]
      if (following === undefined || following.number !== current.number + 1) return
      if (following.node.platter.length < SEGMENT_HEADER_BYTES) return
      this.#at++
      this.#offset = 0
      this.#rewrites = following.node.rewrites
    }
  }

  /** The header of a segment. @returns whether it is there */
  #begin(name: string, node: FileNode, bytes: Uint8Array): boolean {
    const header = decodeSegmentHeader(bytes, this.#seed)
    if (header === undefined || header === 'newer') return false
    this.#offset = SEGMENT_HEADER_BYTES
    this.#replay ??= {
      startIndex: header.previousIndex,
      startTerm: header.previousTerm,
      startChain: header.previousChain,
      entries: [],
      seq: header.previousSeq,
      frame: 0
    }
    // The header counts as part of the first commit, with which it is written.
    this.#commits.push({ node, name, from: 0, to: this.#offset, seq: header.previousSeq + 1 })
    return true
  }

  #take(cutAfter: number, replay: Replay): void {
    const { log } = this.#image
    if (cutAfter < log.lastIndex) log.truncateFrom(Math.max(cutAfter, log.base.index) + 1)
    for (let index = log.lastIndex + 1; index <= replay.startIndex + replay.entries.length; index++) {
      const entry = replay.entries[index - replay.startIndex - 1]
      if (entry !== undefined) log.append(entry)
    }
  }
}
