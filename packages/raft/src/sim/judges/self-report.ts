/**
 * A node's word about itself, taken now and then and compared with what was seen from outside: watermarks in order and never going back within a life,
 * nothing called durable that is not on disk, and the configuration in use is the last one in the log (T30, T31), found by a search of the log.
 */

import type { ClusterConfig, CoreStatus, NodeId } from '../../core/types.ts'
import type { DecodeConfig, NodeView } from './view.ts'
import { Violation } from './violation.ts'

const sameList = (left: readonly NodeId[], right: readonly NodeId[]): boolean =>
  left.length === right.length && left.every((id, i) => id === right[i])

const sameConfig = (left: ClusterConfig, right: ClusterConfig): boolean =>
  sameList(left.voters, right.voters) &&
  sameList(left.outgoing, right.outgoing) &&
  sameList(left.learners, right.learners)

export class SelfReport {
  readonly #decode: DecodeConfig
  /** Per slot: the report before, in this life. */
  readonly #before: (CoreStatus | undefined)[] = []

  constructor(decode: DecodeConfig) {
    this.#decode = decode
  }

  started(view: NodeView): void {
    this.#before[view.slot] = undefined
  }

  reports(view: NodeView, status: CoreStatus): void {
    const before = this.#before[view.slot]
    this.#before[view.slot] = status
    const wrong = this.#watermarks(view, status, before) ?? this.#picture(view, status)
    if (wrong !== undefined) throw new Violation('self-report', `n${view.slot} reports ${wrong}`)
  }

  #watermarks(view: NodeView, status: CoreStatus, before: CoreStatus | undefined): string | undefined {
    const { term, baseIndex, lastIndex, commitIndex, appliedIndex, durableIndex } = status
    if (commitIndex > lastIndex) return `commit index ${commitIndex} above last index ${lastIndex}`
    if (appliedIndex > commitIndex) return `applied index ${appliedIndex} above commit index ${commitIndex}`
    if (baseIndex > appliedIndex) return `base ${baseIndex} above applied index ${appliedIndex}`
    if (durableIndex > lastIndex) return `durable index ${durableIndex} above last index ${lastIndex}`
    if (durableIndex > view.disk.log.lastIndex)
      return `${durableIndex} durable, with ${view.disk.log.lastIndex} on disk`
    if (before === undefined) return undefined
    if (term < before.term) return `term ${term} after ${before.term}`
    if (commitIndex < before.commitIndex) return `commit index ${commitIndex} after ${before.commitIndex}`
    if (appliedIndex < before.appliedIndex) return `applied index ${appliedIndex} after ${before.appliedIndex}`
    if (baseIndex < before.baseIndex) return `base ${baseIndex} after ${before.baseIndex}`
    return undefined
  }

  #picture(view: NodeView, status: CoreStatus): string | undefined {
    const { log, hardState } = view
    if (status.term !== hardState.term) return `term ${status.term}, having asked to persist ${hardState.term}`
    if (status.votedFor !== hardState.votedFor)
      return `a vote for ${status.votedFor}, having asked to persist ${hardState.votedFor}`
    if (status.lastIndex !== log.lastIndex)
      return `last index ${status.lastIndex}, having asked to persist ${log.lastIndex}`
    if (status.lastTerm !== log.lastTerm) return `last term ${status.lastTerm}, having asked to persist ${log.lastTerm}`
    const config = log.config(0, this.#decode)
    if (!sameConfig(status.config, config)) {
      return `configuration ${JSON.stringify(status.config)}; the last in its log, at ${log.configIndex(0)}, is ${JSON.stringify(config)}`
    }
    return undefined
  }
}
