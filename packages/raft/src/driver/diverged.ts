/**
 * Putting a wrong state away (T43, T45). The core has ended since a majority has another state than this node (`../core/digests.ts`): neither
 * the state nor a snapshot made of it may be used again. Without them the next start makes a state of the log alone, or, where the log
 * begins later, of a peer's snapshot (`healing.ts`). The log stays: it is not in doubt, and others may count on it. Called by `ending.ts`.
 */

import type { SnapshotStore, StateMachine } from '../ports.ts'

export interface DivergedInit {
  readonly stateMachine: Pick<StateMachine<unknown>, 'discard'>
  readonly snapshots: Pick<SnapshotStore, 'latest' | 'discard'>
  /** Resolves when nothing works on the state or on snapshots any more. */
  readonly idle: () => Promise<unknown>
}

/**
 * Snapshots first: of a state without them the next start makes the same state again, and is told again that it is wrong; the other way
 * round it would make a state of a wrong snapshot.
 *
 * @throws {Error} when an adapter cannot do it, or fails: then it has to be done by hand
 */
export async function putAway({ stateMachine, snapshots, idle }: DivergedInit): Promise<void> {
  await idle()
  if (stateMachine.discard === undefined) throw new Error('this state machine cannot put its state away')
  for (let found = await snapshots.latest(); found !== undefined; found = await snapshots.latest()) {
    if (snapshots.discard === undefined) throw new Error('this snapshot store cannot discard a snapshot')
    await snapshots.discard(found)
  }
  await stateMachine.discard()
}
