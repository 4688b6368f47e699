/**
 * Counts the starts of a data folder. The count is on disk before the node says its first word, so that who was met once with a count
 * is never met with a lower one again, unless its disk was put back to an older copy (T35). With the count stand the term and the
 * length of the log at that start: a log that is older than its own counter is known without asking anybody.
 *
 * The application calls it between looking at the folder (`inspectGroup`) and starting the node.
 */

import { randomBytes } from 'node:crypto'
import type { Index, Term } from '../core/types.ts'
import type { Life } from '../transport/hello.ts'
import { decodeCheckedJson, encodeCheckedJson } from './checked-json.ts'
import { type FileSystem, nodeFileSystem, writeFileAtomically } from './file-system.ts'

const BOOT_FILE = 'boot.json'

/** What stood in the file. */
interface Counted {
  readonly boot: number
  readonly term: Term
}

/** What the disk holds at this start. */
export interface DiskPosition {
  readonly term: Term
  /** Undefined: the log is damaged, and nobody can tell before it is repaired. */
  readonly lastIndex: Index | undefined
}

/**
 * Counts this start, durably.
 *
 * @param folder - of the log; it is there
 * @returns the start; or, in words, why the log in this folder is not the one that was counted: nothing was changed then
 */
export async function countBoot(
  folder: string,
  { term, lastIndex }: DiskPosition,
  fileSystem: FileSystem = nodeFileSystem
): Promise<Life | string> {
  const counted = await readCount(fileSystem, folder)
  // No term ever falls. The log may be shorter: what was not committed is cut.
  if (counted !== undefined && term < counted.term) {
    return `its term on disk is ${term}, and it was ${counted.term} when the node was started last: the log was lost, or put back to an older copy`
  }
  const boot = (counted?.boot ?? 0) + 1
  await writeFileAtomically(fileSystem, folder, BOOT_FILE, encodeCheckedJson({ boot, term }))
  return { boot, bootId: randomBytes(8).toString('hex'), term, lastIndex }
}

/** Undefined if there is no such file or it is damaged: the count begins anew, and peers that know a higher one say so. */
async function readCount(fileSystem: FileSystem, folder: string): Promise<Counted | undefined> {
  const bytes = await fileSystem.readFile(`${folder}/${BOOT_FILE}`)
  const content = bytes === undefined ? undefined : decodeCheckedJson(bytes)
  if (typeof content !== 'object' || content === null) return undefined
  const { boot, term } = content as Partial<Counted>
  return Number.isSafeInteger(boot) && Number.isSafeInteger(term) ? { boot: boot!, term: term! } : undefined
}
