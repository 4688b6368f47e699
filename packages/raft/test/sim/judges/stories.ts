/** Hand-made histories for judges: nodes as they are seen from outside, and entries that follow one another. */

import { crc32 } from 'node:zlib'
import { EMPTY_CONFIG } from '../../../src/core/members.ts'
import { makeEntry } from '../../../src/core/record.ts'
import { type ClusterConfig, type Entry, EntryKind, type Term } from '../../../src/core/types.ts'
import { NodeView } from '../../../src/sim/judges/view.ts'
import { LogImage } from '../../../src/sim/log-image.ts'

export const checksum = (bytes: Uint8Array, seed: number): number => crc32(bytes, seed)

/** Entries with these terms from index 1 on; `payload` makes two histories of the same terms differ. */
export function entriesOf(terms: readonly Term[], payload = 0): Entry[] {
  const entries: Entry[] = []
  for (const [i, term] of terms.entries()) {
    const chain = entries.at(-1)?.chain ?? 0
    entries.push(makeEntry(i + 1, term, EntryKind.command, Uint8Array.of(payload), chain, checksum))
  }
  return entries
}

/** A node that has just started, with these entries on its disk. */
export function nodeWith(slot: number, entries: readonly Entry[], config: ClusterConfig = EMPTY_CONFIG): NodeView {
  const log = new LogImage({ index: 0, term: 0, chain: 0, config }, entries)
  const hardState = { term: log.lastTerm, votedFor: undefined }
  const view = new NodeView(slot, `n${slot}`, {
    hardState,
    log,
    state: { index: 0, digest: 0, registers: [] },
    snapshots: []
  })
  view.started()
  return view
}
