/**
 * The ways in which other implementations of Raft have failed, T1 to T60, and for each the rule that prevents it here, where the rule stands, the
 * scenario that tells it, and the bugs that break it on purpose. Comments and tests name them by number. `traps.test.ts` holds every name here against
 * what there is, so that the table cannot rot; `table.ts` makes the table of `docs/raft.md` of it, with the seeds that find the bugs.
 *
 * A place is a file below `packages/raft/src`, with names that stand in it; a scenario a file below `packages/raft/test`, with the name of the test if
 * the file has many. A name that ends with `.txt` is a transcript in `core/interaction`, or a story of the disk with its folder. A path that begins with `packages/` or `test/` begins at the root.
 */

import { CONSENSUS_TRAPS } from './consensus-traps.ts'
import { STATE_TRAPS } from './state-traps.ts'
import type { Trap } from './trap.ts'

export const TRAPS: readonly Trap[] = [...CONSENSUS_TRAPS, ...STATE_TRAPS]

/** Why a trap has no bug to put back. */
export const WITHOUT_BUGS: Readonly<Record<string, string>> = {
  T36: 'the simulator has one cluster',
  T37: 'nobody recovers by force in the simulator',
  T55: 'a damaged node is not given to the core before it is whole',
  T57: 'a matter of what the storage is made of',
  T60: 'a matter of the simulator itself'
}
