/**
 * Rules that one step of one node keeps or breaks by itself, by the simulator's own judges: what is promised is on disk first, a leader
 * never cuts its log, and a change of members waits for the barrier. Called once for each step that a core ever takes.
 */

import { decodeConfig } from '../../src/core/members.ts'
import type { Message } from '../../src/core/messages.ts'
import { payloadOf } from '../../src/core/record.ts'
import type { ClusterConfig, Entry, LogBase, NodeId } from '../../src/core/types.ts'
import { durableBeforeSend } from '../../src/sim/judges/durable-before-send.ts'
import { LeaderAppendOnly } from '../../src/sim/judges/leader-append-only.ts'
import { MembershipBarrier } from '../../src/sim/judges/membership-barrier.ts'
import { NodeView } from '../../src/sim/judges/view.ts'
import { Violation } from '../../src/sim/judges/violation.ts'
import { LogImage } from '../../src/sim/log-image.ts'
import type { NodeState } from './nodes.ts'

const appendOnly = new LeaderAppendOnly()
const barrier = new MembershipBarrier((entry) => decodeConfig(payloadOf(entry)) as ClusterConfig)

/** @returns the rule that the step from `before` to `after` breaks, if it breaks one */
export function checkStep(
  id: NodeId,
  before: NodeState,
  after: NodeState,
  sends: readonly { readonly to: NodeId; readonly message: Message }[],
  base: LogBase
): Violation | undefined {
  const log = new LogImage(base, after.disk.entries)
  const disk = { hardState: after.disk.hardState, log, state: { index: 0, digest: 0, registers: [] }, snapshots: [] }
  const view = new NodeView(after.slot, id, disk)
  view.role = after.role
  view.hardState = { term: after.term, votedFor: undefined }
  view.ledInTerm = before.role === 'leader' ? before.term : 0
  view.truncatedFrom = firstDropped(before.log, after.log)
  try {
    for (const { to, message } of sends) durableBeforeSend(view, to, message)
    appendOnly.stepped(view)
    if (before.role === 'leader' && after.role === 'leader') {
      view.log = new LogImage(base, before.log)
      for (const entry of after.log.slice(before.log.length)) {
        barrier.appends(view, [entry], () => after.commitIndex)
        view.log.append(entry)
      }
    }
    return undefined
  } catch (error) {
    if (error instanceof Violation) return error
    throw error
  }
}

/** The first index at which `after` no longer has what `before` had; 0 if there is none. */
export function firstDropped(before: readonly Entry[], after: readonly Entry[]): number {
  for (let i = 0; i < before.length; i++) {
    if (after[i]?.chain !== before[i]?.chain) return i + 1
  }
  return 0
}
