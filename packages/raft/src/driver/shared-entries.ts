/**
 * Entries for a node that lost some: served here, and checked there. A request names an entry by its chain, so that a node that has it
 * has all below it as the asker had it; an answer carries the chain before its first entry, so that all of it can be checked.
 */

import { isIntact } from '../core/record.ts'
import type { Index } from '../core/types.ts'
import type { EntriesAnswer, EntriesRequest, LinkedEntry } from '../ports.ts'
import { checksum } from '../storage/checksum.ts'

/** Record bytes of one answer; one entry is sent even if larger. */
const MAX_ANSWER_BYTES = 512 * 1024
const MAX_ANSWER_ENTRIES = 8192

/** @param find - the entry at an index, if it is here and has that chain */
export function serveEntries(
  find: (index: Index, chain: number) => LinkedEntry | undefined,
  { from, to, chain }: EntriesRequest
): EntriesAnswer {
  const found: LinkedEntry[] = []
  let bytes = 0
  let wanted = chain
  for (let index = to; index >= from && index > 0 && found.length < MAX_ANSWER_ENTRIES; index--) {
    const link = find(index, wanted)
    if (link === undefined) break
    bytes += link.entry.record.length
    if (bytes > MAX_ANSWER_BYTES && found.length > 0) break
    found.push(link)
    wanted = link.previousChain
  }
  found.reverse()
  return { previousChain: found[0]?.previousChain ?? 0, entries: found.map(({ entry }) => entry) }
}

/** The entries of an answer that is what was asked for; nothing of any other. */
export function checkAnswer({ from, to, chain }: EntriesRequest, answer: EntriesAnswer): readonly LinkedEntry[] {
  const links: LinkedEntry[] = []
  const { entries } = answer
  const last = entries.at(-1)
  const first = entries[0]
  if (first === undefined || last === undefined || last.index !== to || last.chain !== chain || first.index < from)
    return []
  let { previousChain } = answer
  for (const [n, entry] of entries.entries()) {
    if (entry.index !== first.index + n || !isIntact(entry, previousChain, checksum)) return []
    links.push({ entry, previousChain })
    previousChain = entry.chain
  }
  return links
}
