/**
 * Tells what the storage does to the disk, line by line, and what a next start may find after the power went anywhere on the way. `stories.test.ts` writes
 * one text for each trap of the disk, as the transcripts of the core do for those of consensus.
 */

import { payloadOf } from '../../src/core/record.ts'
import type { Entry, HardState, LogBase } from '../../src/core/types.ts'
import type { LogStorage } from '../../src/ports.ts'
import type { FileSystem, OpenMode, WritableFile } from '../../src/storage/file-system.ts'
import { openSegmentLog } from '../../src/storage/segment-log.ts'
import { CrashFileSystem } from './crash-file-system.ts'

/** Outcomes that are drawn for each place at which the power may go. */
const OUTCOMES = 24

/** Timers that never fire: marks are written beside the log only when it is closed. */
const still = { after: () => () => {} }

const shortName = (path: string): string => path.replace('/node/', '')

/** A file system that tells what changes on it. */
class TellingFileSystem implements FileSystem {
  readonly #inner: FileSystem
  readonly #tell: (line: string) => void

  constructor(inner: FileSystem, tell: (line: string) => void) {
    this.#inner = inner
    this.#tell = tell
  }

  list = (path: string): Promise<string[] | undefined> => this.#inner.list(path)
  readFile = (path: string): Promise<Uint8Array | undefined> => this.#inner.readFile(path)
  size = (path: string): Promise<number | undefined> => this.#inner.size(path)
  readAt = (path: string, position: number, bytes: number): Promise<Uint8Array | undefined> =>
    this.#inner.readAt(path, position, bytes)

  makeFolder(path: string): Promise<void> {
    return this.#inner.makeFolder(path)
  }

  async #told(what: string, change: Promise<void>): Promise<void> {
    try {
      await change
      this.#tell(`  ${what}`)
    } catch (error) {
      this.#tell(`  ${what}: ${error instanceof Error && 'code' in error ? String(error.code) : 'the power goes'}`)
      throw error
    }
  }

  rename(from: string, to: string): Promise<void> {
    return this.#told(`renames ${shortName(from)} to ${shortName(to)}`, this.#inner.rename(from, to))
  }

  remove(path: string): Promise<void> {
    return this.#told(`removes ${shortName(path)}`, this.#inner.remove(path))
  }

  removeFolder(path: string): Promise<void> {
    return this.#told(`removes ${shortName(path)}/`, this.#inner.removeFolder(path))
  }

  syncFolder(path: string): Promise<void> {
    return this.#told(`syncs the names in ${shortName(path)}/`, this.#inner.syncFolder(path))
  }

  async open(path: string, mode: OpenMode, durable: boolean): Promise<WritableFile> {
    const name = shortName(path)
    const file = await this.#inner.open(path, mode, durable)
    if (mode === 'create') this.#tell(`  creates ${name}`)
    return {
      write: (buffers, position) =>
        this.#told(`writes ${name}${durable ? ', synced' : ''}`, file.write(buffers, position)),
      truncate: (bytes) => this.#told(`cuts ${name}`, file.truncate(bytes)),
      sync: () => this.#told(`syncs ${name}`, file.sync()),
      close: () => file.close()
    }
  }
}

export const describeLog = (entries: readonly Entry[]): string =>
  entries.length === 0
    ? 'nothing'
    : entries.map((entry) => `${entry.index}/${entry.term}:${String.fromCharCode(...payloadOf(entry))}`).join(' ')

/** One story: lines, and the disk that they are about. */
export class Story {
  readonly lines: string[] = []
  fileSystem = new CrashFileSystem()
  readonly #segmentBytes: number
  readonly #node: string

  constructor(heading: string, segmentBytes = 64 * 1024, node = 'a') {
    this.lines.push(`# ${heading}`)
    this.#segmentBytes = segmentBytes
    this.#node = node
  }

  remark(text: string): void {
    this.lines.push(`# ${text}`)
  }

  /** Opens the log; without a file system, on the story's own, telling what changes from here on. */
  openLog(fileSystem?: FileSystem): LogStorage {
    let nonce = 1
    if (fileSystem === undefined) this.lines.push('> start')
    return openSegmentLog({
      folder: '/node/raft',
      fileSystem: fileSystem ?? this.telling(),
      clock: still,
      segmentBytes: this.#segmentBytes,
      seedContext: Buffer.from(this.#node),
      nonce: () => nonce++
    })
  }

  telling(): FileSystem {
    return new TellingFileSystem(this.fileSystem, (line) => this.lines.push(line))
  }

  /** Does one thing, and says whether it was acknowledged. */
  async act(what: string, action: () => Promise<unknown>): Promise<void> {
    this.lines.push(`> ${what}`)
    try {
      await action()
      this.lines.push('  done')
    } catch (error) {
      this.lines.push(`  refused: ${error instanceof Error ? error.name : String(error)}`)
    }
  }

  /**
   * Does the last thing again, on a copy of the disk, and lets the power go at each operation of it.
   *
   * @param before - the disk as it was
   * @param again - does it on a disk
   * @param look - what a next start finds, in words
   * @returns all that was found, before it was acknowledged and after
   */
  async cutAnywhere(
    before: CrashFileSystem,
    again: (disk: CrashFileSystem) => Promise<unknown>,
    look: (disk: CrashFileSystem) => Promise<string>
  ): Promise<{ readonly underway: ReadonlySet<string>; readonly acknowledged: ReadonlySet<string> }> {
    this.lines.push('# The power goes at each of these operations, from the start on. The next start finds:')
    const underway = new Set<string>()
    for (let cut = 1; ; cut++) {
      const disk = before.copy()
      disk.cutAt = cut
      let over = false
      try {
        await again(disk)
        over = true
      } catch {
        // The power went, as it should.
      }
      const found = new Set<string>()
      for (let outcome = 0; outcome < OUTCOMES; outcome++) found.add(await look(disk.image(100 * cut + outcome)))
      this.lines.push(`  ${over ? 'at any time later' : `at ${cut}`}: ${[...found].sort().join(', or ')}`)
      if (over) return { underway, acknowledged: found }
      for (const one of found) underway.add(one)
    }
  }

  /** What a next start finds in the log. */
  async lookAtLog(disk: CrashFileSystem): Promise<string> {
    const log = this.openLog(disk)
    try {
      const { hardState, base, entries, faults } = await log.load()
      const fault = faults[0] === undefined ? '' : ', and a fault'
      const vote = `term ${hardState.term} vote ${hardState.votedFor ?? '-'}`
      return `${vote}, after ${base.index}: ${describeLog(entries)}${fault}`
    } catch (error) {
      return error instanceof Error ? error.name : String(error)
    } finally {
      await log.close().catch(() => {})
    }
  }

  get text(): string {
    return `${this.lines.join('\n')}\n`
  }
}

/** What one step writes. */
export const batch = (
  entries: readonly Entry[],
  hardState?: HardState,
  truncateFrom?: number
): { hardState: HardState | undefined; truncateFrom: number | undefined; entries: readonly Entry[] } => ({
  hardState,
  truncateFrom,
  entries
})

export const baseOf = (entry: Entry): LogBase => ({
  index: entry.index,
  term: entry.term,
  chain: entry.chain,
  config: { voters: ['a', 'b', 'c'], outgoing: [], learners: [] }
})
