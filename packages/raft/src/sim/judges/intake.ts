/**
 * What a leader takes is bounded (T28): while anything waits to be applied, it accepts no proposal that would make more wait than it may. Without
 * that a group that is offered more than it can carry falls behind for ever. Called by a simulated node for each proposal that was taken.
 */

import type { CoreOptions, Effect, Index } from '../../core/types.ts'
import type { NodeView } from './view.ts'
import { Violation } from './violation.ts'

/**
 * @param effect - says where the proposal stands
 * @param appliedIndex - how far the leader's state machine was then
 * @throws {Violation} when more waits than `maxUncommittedEntries`, and something waited before
 */
export function intakeBounded(
  view: NodeView,
  { first, last }: Extract<Effect, { type: 'proposed' }>,
  appliedIndex: Index,
  { maxUncommittedEntries }: CoreOptions
): void {
  if (last - appliedIndex <= maxUncommittedEntries || first - 1 <= appliedIndex) return
  throw new Violation(
    'intake',
    `n${view.slot} took a proposal at ${first}, and now ${last - appliedIndex} entries wait, of ${maxUncommittedEntries} that may`
  )
}
