/**
 * Where the log begins: `base.json`, replaced atomically. Its rename is the one instant at which a compaction or a reset
 * happens: segments numbered below `firstSegment` are no part of the log, whether or not their files are gone already (T42).
 * Read and written by `segment-log.ts`, read by `log-reader.ts`.
 */

import { MAX_MEMBERS, MAX_NAME_LENGTH } from '../core/members.ts'
import type { ClusterConfig, LogBase } from '../core/types.ts'
import { decodeCheckedJson, encodeCheckedJson } from './checked-json.ts'
import { LogUnusableError } from './errors.ts'
import { type FileSystem, writeFileAtomically } from './file-system.ts'

export const BASE_FILE = 'base.json'
const VERSION = 1

export interface StoredBase {
  readonly base: LogBase
  /** The first segment that belongs to the log, whether it exists yet or not. */
  readonly firstSegment: number
  /** The number of the last frame before that segment. */
  readonly seq: number
}

/** What holds when there is no file yet. */
export const EMPTY_BASE: StoredBase = {
  base: { index: 0, term: 0, chain: 0, config: { voters: [], outgoing: [], learners: [] } },
  firstSegment: 1,
  seq: 0
}

export function writeBase(fileSystem: FileSystem, folder: string, seed: number, stored: StoredBase): Promise<void> {
  const { base, firstSegment, seq } = stored
  return writeFileAtomically(
    fileSystem,
    folder,
    BASE_FILE,
    encodeCheckedJson({ version: VERSION, context: seed, base, firstSegment, seq })
  )
}

/**
 * @returns undefined if there is no file
 * @throws {LogUnusableError} when it is damaged, of a newer version, or of another node
 */
export async function readBase(fileSystem: FileSystem, folder: string, seed: number): Promise<StoredBase | undefined> {
  const path = `${folder}/${BASE_FILE}`
  const bytes = await fileSystem.readFile(path)
  if (bytes === undefined) return undefined
  const content = decodeCheckedJson(bytes)
  if (!isRecord(content)) throw new LogUnusableError('base-damaged', path, 'its checksum is wrong')
  if (content.version !== VERSION) {
    throw new LogUnusableError(
      'unsupported-version',
      path,
      `it has version ${String(content.version)}, and ${VERSION} is the newest known`
    )
  }
  if (content.context !== seed) throw new LogUnusableError('base-damaged', path, 'it belongs to another node')
  const { base, firstSegment, seq } = content
  if (!isLogBase(base) || !isCount(firstSegment) || !isCount(seq)) {
    throw new LogUnusableError('base-damaged', path, 'a field is missing or of the wrong type')
  }
  return { base, firstSegment, seq }
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
  isConfig(value.config)
