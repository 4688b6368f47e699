/**
 * Where the log begins: `base.json`, replaced atomically. Its rename is the one instant at which a compaction, a reset or a repair
 * happens: segments numbered below `firstSegment` are no part of the log, whether or not their files are gone already (T42); nor
 * are those from `before` on, which a repair is still writing.
 *
 * Without it no segment can be placed, so that it has a copy, written after it. The higher revision counts; if the two differ, what the
 * newer says was not acknowledged yet, and nothing that the older needs is gone. Read and written by `segment-log.ts`, read by `log-reader.ts`.
 */

import { MAX_MEMBERS, MAX_NAME_LENGTH } from '../core/members.ts'
import type { ClusterConfig, LogBase } from '../core/types.ts'
import { decodeCheckedJson, encodeCheckedJson } from './checked-json.ts'
import { LogUnusableError } from './errors.ts'
import { type FileSystem, writeFileAtomically } from './file-system.ts'

export const BASE_FILE = 'base.json'
export const BASE_COPY_FILE = 'base-copy.json'
const VERSION = 1

export interface StoredBase {
  readonly base: LogBase
  /** The first segment that belongs to the log, whether it exists yet or not. */
  readonly firstSegment: number
  /** The number of the last frame before that segment. */
  readonly seq: number
  /** Segments from this number on are no part of the log yet. */
  readonly before?: number
}

export interface ReadBase extends StoredBase {
  /** 1, 2, 3, … with each change. */
  readonly revision: number
  /** Both files hold it. */
  readonly hasCopy: boolean
}

/** What holds when there is no file yet. */
export const EMPTY_BASE: StoredBase = {
  base: { index: 0, term: 0, chain: 0, config: { voters: [], outgoing: [], learners: [] } },
  firstSegment: 1,
  seq: 0
}

/** Resolves once both files hold `stored`; it counts from the first on. */
export async function writeBase(
  fileSystem: FileSystem,
  folder: string,
  seed: number,
  stored: StoredBase,
  revision: number
): Promise<void> {
  const { base, firstSegment, seq, before } = stored
  const bytes = encodeCheckedJson({ version: VERSION, context: seed, revision, base, firstSegment, seq, before })
  for (const name of [BASE_FILE, BASE_COPY_FILE]) await writeFileAtomically(fileSystem, folder, name, bytes)
}

/**
 * @returns undefined if there is no file
 * @throws {LogUnusableError} when both copies are damaged or of another node, or one is of a newer version
 */
export async function readBase(fileSystem: FileSystem, folder: string, seed: number): Promise<ReadBase | undefined> {
  const copies: ReadBase[] = []
  const faults: LogUnusableError[] = []
  for (const name of [BASE_FILE, BASE_COPY_FILE]) {
    const path = `${folder}/${name}`
    const bytes = await fileSystem.readFile(path)
    if (bytes === undefined) continue
    const read = parseBase(decodeCheckedJson(bytes), seed, path)
    if (read instanceof LogUnusableError) faults.push(read)
    else copies.push(read)
  }
  const [first, second] = copies
  if (first === undefined) {
    if (faults.length > 0) throw faults[0]!
    return undefined
  }
  if (second === undefined) return first
  if (second.revision === first.revision) return { ...first, hasCopy: true }
  return second.revision > first.revision ? second : first
}

/** @throws {LogUnusableError} when it is of a newer version, which is sound and must not be touched */
function parseBase(content: unknown, seed: number, path: string): ReadBase | LogUnusableError {
  if (!isRecord(content)) return new LogUnusableError('base-damaged', path, 'its checksum is wrong')
  if (content.version !== VERSION) {
    throw new LogUnusableError(
      'unsupported-version',
      path,
      `it has version ${String(content.version)}, and ${VERSION} is the newest known`
    )
  }
  if (content.context !== seed) return new LogUnusableError('base-damaged', path, 'it belongs to another node')
  // A file of before there were copies has no revision.
  const { base, firstSegment, seq, before, revision = 0 } = content
  if (!isLogBase(base) || !isCount(firstSegment) || !isCount(seq) || !isCount(revision)) {
    return new LogUnusableError('base-damaged', path, 'a field is missing or of the wrong type')
  }
  return { base, firstSegment, seq, revision, hasCopy: false, ...(isCount(before) ? { before } : {}) }
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

const isIdList = (value: unknown): value is string[] =>
  Array.isArray(value) &&
  value.length <= MAX_MEMBERS &&
  value.every((id) => typeof id === 'string' && id.length > 0 && id.length <= MAX_NAME_LENGTH)

const isConfig = (value: unknown): value is ClusterConfig =>
  isRecord(value) && isIdList(value.voters) && isIdList(value.outgoing) && isIdList(value.learners)

/** Whether untrusted JSON data is a base. */
export const isLogBase = (value: unknown): value is LogBase =>
  isRecord(value) &&
  isCount(value.index) &&
  isCount(value.term) &&
  isCount(value.chain) &&
  value.chain <= 0xffff_ffff &&
  isConfig(value.config) &&
  (value.level === undefined || isCount(value.level)) &&
  (value.leaseMs === undefined || isCount(value.leaseMs))
