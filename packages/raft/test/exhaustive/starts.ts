/** Disks to start a search from, so that what lies far from an empty group comes within reach. Each is a state that a group can come to. */

import { crc32 } from 'node:zlib'
import { makeEntry } from '../../src/core/record.ts'
import { type Entry, EntryKind, type Term } from '../../src/core/types.ts'
import type { Stored } from './nodes.ts'

function log(...terms: readonly Term[]): Entry[] {
  const entries: Entry[] = []
  for (const [i, term] of terms.entries()) {
    const chain = entries.at(-1)?.chain ?? 0
    entries.push(makeEntry(i + 1, term, EntryKind.noop, new Uint8Array(0), chain, (bytes, seed) => crc32(bytes, seed)))
  }
  return entries
}

/**
 * Paper figure 8 (c), with three nodes in place of five: n0 led in term 2 and n2 in term 3, each wrote an entry at index 2 that nobody else has, and n0 is about
 * to campaign for term 4.
 */
export function startFigure8(): readonly Stored[] {
  return [
    { hardState: { term: 3, votedFor: undefined }, entries: log(1, 2) },
    { hardState: { term: 3, votedFor: 'n2' }, entries: log(1) },
    { hardState: { term: 3, votedFor: 'n2' }, entries: log(1, 3) }
  ]
}
