/**
 * Reads a stored log without changing anything: the rules by which damage is judged. Called by `segment-log.ts` when a node
 * starts, and by whoever wants to know what a folder holds before starting one (`inspectGroup`).
 *
 * A part that cannot be read was either never acknowledged (the tail of the last commit, cut short by a crash: dropped) or
 * it was, and has rotted (a fault, T54). It was acknowledged, hence rotten, if anything written later is there: a
 * later commit in the same segment, a later segment, or a mark in the hard state that counts it; and it is rotten if all of its
 * sectors are there. `segment-log.ts` says what remains in doubt. Every other contradiction is a fault as well: a segment missing or of the wrong length, entries that do
 * not follow from the base, a log that ends before the mark.
 */

import type { StoredGroup } from '../api.ts'
import type { Entry, Index, LogBase } from '../core/types.ts'
import { configInForce } from '../driver/stored-log.ts'
import type { LogFault, LogRemains } from '../ports.ts'
import { BASE_FILE, EMPTY_BASE, type ReadBase, readBase, type StoredBase } from './base-file.ts'
import { checksum } from './checksum.ts'
import { HardStateLostError, LogUnusableError } from './errors.ts'
import { type FileSystem, nodeFileSystem } from './file-system.ts'
import { type DurableMark, HARD_STATE_FILE, NO_MARK, readHardState, type StoredHardState } from './hard-state.ts'
import { salvage } from './salvage.ts'
import {
  decodeSegmentHeader,
  type FrameDamage,
  frameCutOf,
  frameEndOf,
  frameSeedOf,
  hasLaterFrame,
  lastIndexOf,
  mayBeTorn,
  type Replay,
  replayFrame,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
  segmentNumber
} from './segment.ts'

/** A segment that belongs to the log. */
export interface ReadSegment {
  readonly name: string
  readonly number: number
  readonly previousSeq: number
  readonly previousIndex: Index
  /** Lowest index after which one of its commits cut the log; Infinity without commits. */
  readonly minCut: Index
  /** Highest index that was ever written in it, truncated since or not; that of the entry before it if it has none. */
  readonly maxIndex: Index
  readonly bytes: Uint8Array
  /** Length up to the end of the last sound commit. */
  readonly soundBytes: number
  /** Offset of the first commit that the mark does not count; `soundBytes` if there is none. */
  readonly unmarkedFrom: number
}

export interface StoredLog {
  readonly hardState: StoredHardState | undefined
  readonly base: StoredBase
  /** As it stands on disk; undefined where that of an empty log was assumed. */
  readonly foundBase: ReadBase | undefined
  readonly segments: readonly ReadSegment[]
  /** From `base.base.index + 1`. */
  readonly entries: readonly Entry[]
  readonly seq: number
  readonly frame: number
  /** Highest segment number in the folder, stale ones included. */
  readonly lastNumber: number
  /** Files that are no part of the log any more: replaced or compacted segments, temporary files, a segment whose creation was cut short. */
  readonly leftovers: readonly string[]
  readonly faults: readonly LogFault[]
  /** With faults. */
  readonly remains: LogRemains | undefined
}

/** @param context - distinguishes this node's files from all others': a misdirected or foreign file fails its checksums (T58) */
export const contextSeed = (context: Uint8Array | undefined): number =>
  context === undefined ? 0 : checksum(context, 0)

/**
 * @throws {HardStateLostError} when term and vote cannot be read, or are missing beside a log
 * @throws {LogUnusableError} when the base cannot be read, or a file is of a newer version
 */
export async function readLog(fileSystem: FileSystem, folder: string, seed: number): Promise<StoredLog> {
  const names = (await fileSystem.list(folder)) ?? []
  const hardState = await readHardState(fileSystem, folder, seed)
  const foundBase = await readBase(fileSystem, folder, seed)
  const found = segmentsAmong(names)
  const mark = hardState?.content.mark ?? NO_MARK
  if (hardState === undefined && (foundBase !== undefined || found.length > 0)) {
    throw new HardStateLostError(`${folder}/${HARD_STATE_FILE}`, 'the file is missing beside a log')
  }
  if (foundBase === undefined && (found.length > 0 || mark.seq > 0)) {
    throw new LogUnusableError('base-damaged', folder, 'the file that says where the log begins is missing')
  }
  const base = foundBase ?? EMPTY_BASE
  const { before = Number.POSITIVE_INFINITY } = base
  const live = found.filter(({ number }) => number >= base.firstSegment && number < before)
  const scan = new LogScan(fileSystem, folder, seed, base, mark)
  for (const [n, { name, number }] of live.entries()) {
    if (!(await scan.read(name, number, n === live.length - 1))) break
  }
  scan.finish()
  return {
    hardState,
    base,
    foundBase,
    segments: scan.segments,
    entries: scan.entries(),
    seq: scan.seq,
    frame: scan.frame,
    lastNumber: found.at(-1)?.number ?? 0,
    leftovers: [
      ...found.filter((segment) => !live.includes(segment)).map(({ name }) => name),
      ...scan.unborn,
      ...names.filter((name) => name.endsWith('.tmp'))
    ],
    faults: scan.faults,
    remains: scan.faults.length === 0 ? undefined : await readRemains(fileSystem, folder, seed, live, base.base, mark)
  }
}

/** What a log without a base is: nothing but pieces. */
export async function readPieces(
  fileSystem: FileSystem,
  folder: string,
  seed: number
): Promise<{ hardState: StoredHardState; remains: LogRemains; lastNumber: number }> {
  const hardState = await readHardState(fileSystem, folder, seed)
  if (hardState === undefined)
    throw new HardStateLostError(`${folder}/${HARD_STATE_FILE}`, 'the file is missing beside a log')
  const found = segmentsAmong((await fileSystem.list(folder)) ?? [])
  const remains = await readRemains(fileSystem, folder, seed, found, undefined, hardState.content.mark)
  return { hardState, remains, lastNumber: found.at(-1)?.number ?? 0 }
}

async function readRemains(
  fileSystem: FileSystem,
  folder: string,
  seed: number,
  live: readonly { readonly name: string }[],
  base: LogBase | undefined,
  mark: DurableMark
): Promise<LogRemains> {
  const segments: Uint8Array[] = []
  for (const { name } of live) segments.push((await fileSystem.readFile(`${folder}/${name}`)) ?? new Uint8Array(0))
  return salvage({ segments, seed, base, mark })
}

/** In the order of their numbers. */
function segmentsAmong(names: readonly string[]): { name: string; number: number }[] {
  const found = names.flatMap((name) => {
    const number = segmentNumber(name)
    return number === undefined ? [] : [{ name, number }]
  })
  return found.sort((a, b) => a.number - b.number)
}

/** Reads the segments one after the other, up to the first fault. */
class LogScan {
  readonly segments: ReadSegment[] = []
  readonly faults: LogFault[] = []
  /** A last segment whose header never became whole. */
  readonly unborn: string[] = []
  readonly #fileSystem: FileSystem
  readonly #folder: string
  readonly #seed: number
  readonly #base: StoredBase
  readonly #mark: { readonly seq: number; readonly lastIndex: Index; readonly frame: number }
  #replay: Replay | undefined
  /** Where the sound part of the segment before ended. */
  #previousBytes = 0

  constructor(
    fileSystem: FileSystem,
    folder: string,
    seed: number,
    base: StoredBase,
    mark: { readonly seq: number; readonly lastIndex: Index; readonly frame: number }
  ) {
    this.#fileSystem = fileSystem
    this.#folder = folder
    this.#seed = seed
    this.#base = base
    this.#mark = mark
  }

  get seq(): number {
    return this.#replay?.seq ?? this.#base.seq
  }

  get frame(): number {
    return this.#replay?.frame ?? 0
  }

  get #lastIndex(): Index {
    return this.#replay === undefined ? this.#base.base.index : lastIndexOf(this.#replay)
  }

  entries(): readonly Entry[] {
    if (this.#replay === undefined) return []
    const below = this.#base.base.index - this.#replay.startIndex
    return below === 0 ? this.#replay.entries : this.#replay.entries.slice(Math.max(below, 0))
  }

  #fault(file: string, offset: number, damage: FrameDamage): false {
    this.faults.push({ file: `${this.#folder}/${file}`, offset, ...damage })
    return false
  }

  /** @returns false at a fault, or at the end of the log */
  async read(name: string, number: number, isLast: boolean): Promise<boolean> {
    const fromIndex = this.#lastIndex + 1
    const expected = this.#base.firstSegment + this.segments.length
    if (number !== expected)
      return this.#fault(name, 0, { fromIndex, detail: `segment ${expected} is missing before it` })
    const bytes = await this.#fileSystem.readFile(`${this.#folder}/${name}`)
    if (bytes === undefined)
      return this.#fault(name, 0, { fromIndex, detail: 'the file vanished while the log was read' })

    const header = decodeSegmentHeader(bytes, this.#seed)
    if (header === 'newer')
      throw new LogUnusableError('unsupported-version', `${this.#folder}/${name}`, 'a newer version wrote it')
    if (header === undefined) {
      // A segment is made together with its first commit: as long as that is not durable, the header need not be either.
      if (isLast && this.#mark.seq <= this.seq && mayBeTorn(bytes, 0, SEGMENT_HEADER_BYTES) && !mayHaveFrames(bytes)) {
        this.unborn.push(name)
        return false
      }
      return this.#fault(name, 0, { fromIndex, detail: 'the header of the segment is damaged' })
    }
    const contradiction = this.#contradiction(header, number)
    if (contradiction !== undefined) return this.#fault(name, 0, { fromIndex, detail: contradiction })

    this.#replay ??= {
      startIndex: header.previousIndex,
      startTerm: header.previousTerm,
      startChain: header.previousChain,
      entries: [],
      seq: header.previousSeq,
      frame: 0
    }
    return this.#frames(name, bytes, header, isLast)
  }

  #contradiction(header: SegmentHeader, number: number): string | undefined {
    if (header.number !== number) return `it is segment ${header.number} by its header`
    if (header.previousSeq !== this.seq)
      return `it continues commit ${header.previousSeq}, and the log before it ends with ${this.seq}`
    const replay = this.#replay
    if (replay === undefined) {
      const { index, term, chain } = this.#base.base
      if (header.previousIndex > index)
        return `it begins after index ${header.previousIndex}, and the base is at ${index}`
      if (header.previousIndex === index && (header.previousTerm !== term || header.previousChain !== chain)) {
        return `it does not follow from the base at index ${index}`
      }
      return undefined
    }
    if (header.previousBytes !== this.#previousBytes) {
      return `the segment before it has ${this.#previousBytes} sound bytes in place of ${header.previousBytes}`
    }
    const last = replay.entries.at(-1)
    const [term, chain] = last === undefined ? [replay.startTerm, replay.startChain] : [last.term, last.chain]
    if (
      header.previousIndex !== lastIndexOf(replay) ||
      header.previousTerm !== term ||
      header.previousChain !== chain
    ) {
      return `it does not follow from the segment before it, which ends at index ${lastIndexOf(replay)}`
    }
    return undefined
  }

  #frames(name: string, bytes: Uint8Array, header: SegmentHeader, isLast: boolean): boolean {
    const replay = this.#replay!
    const frameSeed = frameSeedOf(bytes)
    let at = SEGMENT_HEADER_BYTES
    let maxIndex = header.previousIndex
    let minCut = Number.POSITIVE_INFINITY
    let unmarkedFrom = this.#mark.seq <= replay.seq ? at : undefined
    let sound = true
    while (at < bytes.length) {
      const next = replayFrame(bytes, at, frameSeed, replay)
      if (typeof next !== 'number') {
        const wasDurable =
          !isLast ||
          this.#mark.seq > replay.seq ||
          hasLaterFrame(bytes, at + 1, frameSeed, replay.seq + 1) ||
          !mayBeTorn(bytes, at, frameEndOf(bytes, at, frameSeed))
        if (wasDurable) sound = this.#fault(name, at, next)
        break
      }
      minCut = Math.min(minCut, frameCutOf(bytes, at))
      at = next
      maxIndex = Math.max(maxIndex, lastIndexOf(replay))
      if (replay.seq === this.#mark.seq) {
        unmarkedFrom = at
        if (replay.frame !== this.#mark.frame || lastIndexOf(replay) !== this.#mark.lastIndex) {
          sound = this.#fault(name, at, {
            fromIndex: lastIndexOf(replay) + 1,
            detail: `commit ${replay.seq} is not the one that was marked durable`
          })
          break
        }
      }
    }
    this.#previousBytes = at
    this.segments.push({
      name,
      number: header.number,
      previousSeq: header.previousSeq,
      previousIndex: header.previousIndex,
      minCut,
      maxIndex,
      bytes,
      soundBytes: at,
      unmarkedFrom: unmarkedFrom ?? at
    })
    return sound
  }

  /** What can only be judged at the end. */
  finish(): void {
    const file = this.segments.at(-1)?.name ?? BASE_FILE
    const offset = this.segments.at(-1)?.soundBytes ?? 0
    if (this.faults.length === 0 && this.#mark.seq > this.seq) {
      this.#fault(file, offset, {
        fromIndex: this.#lastIndex + 1,
        detail: `the log ends with commit ${this.seq}, and commit ${this.#mark.seq} (up to index ${this.#mark.lastIndex}) was durable`
      })
    }
    const { index, term, chain } = this.#base.base
    const replay = this.#replay
    if (replay === undefined || replay.startIndex === index) return
    const atBase = replay.entries[index - replay.startIndex - 1]
    // Where an earlier fault ended the reading before the base, there is nothing to compare and nothing to answer.
    if (atBase === undefined ? this.faults.length > 0 : atBase.term === term && atBase.chain === chain) return
    this.#fault(file, offset, {
      fromIndex: index + 1,
      detail: `the log does not hold the entry of its base at index ${index}`
    })
    replay.entries.length = 0
  }
}

/**
 * Whether damage to the header alone, and not a creation cut short, explains a file: it goes on as frames do. The seed of the frames may
 * be lost with the header, so that what every frame begins with is looked for. A commit that was being written with the header looks the
 * same; the doubt is settled by what follows it.
 */
const mayHaveFrames = (bytes: Uint8Array): boolean => countFrameMagics(bytes) > 1

function countFrameMagics(bytes: Uint8Array): number {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  let count = 0
  for (let at = text.indexOf('QRF1'); at >= 0; at = text.indexOf('QRF1', at + 1)) count += 1
  return count
}

export interface InspectOptions {
  /** The same as the log was written with. */
  readonly seedContext?: Uint8Array
  readonly fileSystem?: FileSystem
}

/**
 * What a folder holds, without changing anything in it. A damaged log is described as far as it can be read.
 *
 * @returns undefined if there is no log in it; a group without voters in its configuration if a node waited here to be added
 * @throws {HardStateLostError} as `load`
 * @throws {LogUnusableError} when a file is of a newer version
 */
export async function inspectGroup(folder: string, options: InspectOptions = {}): Promise<StoredGroup | undefined> {
  const { fileSystem = nodeFileSystem } = options
  const seed = contextSeed(options.seedContext)
  const stored = await readLog(fileSystem, folder, seed).catch((error: unknown) => {
    if (error instanceof LogUnusableError && error.code === 'base-damaged') return undefined
    throw error
  })
  if (stored === undefined) {
    // Where the log begins is lost, and with it what its entries mean; term and vote are not.
    const { hardState } = await readPieces(fileSystem, folder, seed)
    const { base } = EMPTY_BASE
    return { hardState: hardState.content.hardState, base, lastIndex: 0, config: base.config, damaged: true }
  }
  if (stored.hardState === undefined) return undefined
  const { entries, faults } = stored
  const { base } = stored.base
  return {
    hardState: stored.hardState.content.hardState,
    base,
    lastIndex: base.index + entries.length,
    config: configInForce({ base, entries }),
    damaged: faults.length > 0
  }
}
