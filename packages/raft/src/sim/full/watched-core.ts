/**
 * A core that the judges look on at: between the real driver and the real core, what goes in and what comes out is told to the panel, and nothing is
 * changed. The counterpart of `step` in `../node.ts`. Made by `full-node.ts`.
 */

import type { CoreStatus, Effect, Input, LogBase, RaftCore, Term } from '../../core/types.ts'
import { type History, TraceCode } from '../history.ts'
import type { Panel } from '../judges/panel.ts'
import type { NodeView } from '../judges/view.ts'
import { Violation } from '../judges/violation.ts'
import type { ElectionStage } from '../surroundings.ts'
import type { World } from '../world.ts'

/** Reports taken from a node: one in so many steps. */
const REPORT_EVERY_STEPS = 64

export interface WatchInit {
  readonly slot: number
  readonly view: NodeView
  readonly panel: Panel
  readonly history: History
  readonly world: World
  /** Runs a judge, and keeps what it objects to. */
  readonly judge: (task: () => void) => void
  readonly alive: () => boolean
  /** A snapshot at this place is on the node's disk. */
  readonly stored: (base: LogBase) => boolean
  readonly onElection: (slot: number, stage: ElectionStage) => void
}

export function watchCore(core: RaftCore, init: WatchInit): RaftCore {
  const watch = new Watch(core, init)
  return new Proxy(core, {
    get(target, key) {
      if (key === 'step') return (input: Input, nowMs: number, out: Effect[]) => watch.step(input, nowMs, out)
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? value.bind(target) : value
    }
  })
}

class Watch {
  readonly #core: RaftCore
  readonly #init: WatchInit
  #steps = 0
  /** The last term in which this node led and committed. */
  #committedInTerm: Term = 0

  constructor(core: RaftCore, init: WatchInit) {
    this.#core = core
    this.#init = init
  }

  step(input: Input, nowMs: number, out: Effect[]): void {
    const { panel, view, judge, alive } = this.#init
    if (!alive()) return
    judge(() => {
      panel.steps(view)
      if (input.type === 'snapshot-ready' || input.type === 'snapshot-installed') this.#requireStored(input.base)
      if (input.type === 'snapshot-installed') {
        panel.installed(view)
        view.installing = false
      } else if (input.type === 'snapshot-failed') view.installing = false
    })
    const from = out.length
    this.#core.step(input, nowMs, out)
    const effects = out.slice(from)
    judge(() => {
      for (const effect of effects) {
        if (effect.type === 'persist') {
          panel.persists(view, effect, () => this.#core.status(nowMs).commitIndex)
        }
      }
      for (const effect of effects) this.#tell(effect)
      panel.stepped(view)
      if (++this.#steps % REPORT_EVERY_STEPS === 0) panel.reports(view, this.#core.status(nowMs) as CoreStatus)
    })
  }

  /** The core may from now on let others rely on it, and the log begin there (T41). */
  #requireStored(base: LogBase): void {
    if (this.#init.stored(base)) return
    throw new Violation(
      'snapshot-durable',
      `${this.#init.view.id} relies on a snapshot at ${base.index} that is not on its disk`
    )
  }

  #tell(effect: Effect): void {
    const { panel, view, slot, history, world, onElection } = this.#init
    const now = world.nowUs
    switch (effect.type) {
      case 'persist':
        history.note(now, TraceCode.persist, slot, effect.seq, view.log.lastIndex, undefined)
        break
      case 'apply':
        panel.handsToApply(view, effect.entries)
        if (view.role === 'leader' && this.#committedInTerm !== view.hardState.term) {
          this.#committedInTerm = view.hardState.term
          onElection(slot, 'commits')
        }
        history.note(now, TraceCode.apply, slot, view.handedToApply, effect.entries.length, undefined)
        break
      case 'role-changed':
        history.note(now, TraceCode.role, slot, effect.term, effect.role.length, effect.role)
        // What it learnt before it led, it may tell once it leads, and the driver sends at the end of its turn.
        if (effect.role === 'leader') panel.committed.observed(view, this.#core.status(world.nowUs / 1000).commitIndex)
        panel.roleChanged(view, effect.role, effect.term)
        if (effect.role === 'leader') onElection(slot, 'leads')
        else if (effect.role === 'candidate') onElection(slot, 'asks')
        break
      case 'config-changed':
        history.note(now, TraceCode.config, slot, effect.index, effect.committed ? 1 : 0, JSON.stringify(effect.config))
        break
      case 'install-snapshot':
        view.installing = true
        history.note(now, TraceCode.snapshot, slot, effect.base.index, effect.base.term, 'is fetched')
        break
      case 'compact':
        view.log.compact(effect.base)
        history.note(now, TraceCode.compact, slot, effect.base.index, 0, undefined)
        break
      case 'alarm':
        history.note(now, TraceCode.alarm, slot, 0, 0, `${effect.code}: ${effect.detail}`)
        break
      default:
        break
    }
  }
}
