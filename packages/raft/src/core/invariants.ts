/**
 * What must always be true inside one node, and what happens when it is not: the node stops for good (`halt`) before it can
 * tell anybody something false. `raft.ts` turns the error into the effect and checks the state after every step.
 */

import type { CoreState } from './state.ts'

/** An invariant does not hold. Never leaves the core: `step` answers `halt` with its message. */
class BrokenInvariant extends Error {
  static override readonly name = 'BrokenInvariant'
  override readonly name = 'BrokenInvariant'
}

/** @throws {BrokenInvariant} unless `condition` holds. The message says what is wrong, with the values at hand. */
export function invariant(condition: boolean, message: () => string): asserts condition {
  if (!condition) throw new BrokenInvariant(message())
}

/** The order of the watermarks and of each peer's progress: a few comparisons, made after every step. */
export function checkState(state: CoreState): void {
  if (!isSound(state)) explain(state)
}

/** The same comparisons as below, without what is needed to say which one failed. */
function isSound({ log, term, leading }: CoreState): boolean {
  const { lastIndex, commitIndex, applyingIndex, appliedIndex } = log
  const ordered = log.base.index <= appliedIndex && appliedIndex <= applyingIndex && applyingIndex <= commitIndex
  if (!ordered || commitIndex > lastIndex || log.durableIndex > lastIndex || log.lastTerm > term) return false
  if (leading === undefined) return true
  for (const { matchIndex, nextIndex } of leading.peers.values()) {
    if (matchIndex >= nextIndex || matchIndex > lastIndex) return false
  }
  return true
}

function explain(state: CoreState): void {
  const log = state.log
  invariant(log.base.index <= log.appliedIndex, () => `applied ${log.appliedIndex} is below the base ${log.base.index}`)
  invariant(
    log.appliedIndex <= log.applyingIndex,
    () => `applied ${log.appliedIndex} is past ${log.applyingIndex}, which was handed out`
  )
  invariant(
    log.applyingIndex <= log.commitIndex,
    () => `applying ${log.applyingIndex} is past commit ${log.commitIndex}`
  )
  invariant(log.commitIndex <= log.lastIndex, () => `commit ${log.commitIndex} is past the last entry ${log.lastIndex}`)
  invariant(
    log.durableIndex <= log.lastIndex,
    () => `durable ${log.durableIndex} is past the last entry ${log.lastIndex}`
  )
  invariant(
    log.lastTerm <= state.term,
    () => `the last entry is of term ${log.lastTerm}, the node of term ${state.term}`
  )
  if (state.leading === undefined) return
  for (const peer of state.leading.peers.values()) {
    invariant(
      peer.matchIndex < peer.nextIndex,
      () => `${peer.id}: match ${peer.matchIndex} is not below next ${peer.nextIndex}`
    )
    invariant(
      peer.matchIndex <= log.lastIndex,
      () => `${peer.id}: match ${peer.matchIndex} is past the last entry ${log.lastIndex}`
    )
  }
}
