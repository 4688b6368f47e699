/**
 * What clients asked and were told, and which faults were there, in the order in which it happened. Each event is also a line of a file,
 * written at once, so that a run that hangs or is ended leaves it.
 */

import { appendFileSync } from 'node:fs'
import type { Action, Operation } from './linearizability.ts'

/** What a client asks for; a read or delete does not know its answer yet. */
export type Request = { readonly kind: 'write'; readonly value: string } | { readonly kind: 'read' | 'delete' }

/** What came of it. */
export type Outcome =
  /** `value` is what was read or removed; undefined: nothing was there. */
  | { readonly kind: 'ok'; readonly value: string | undefined }
  /** It certainly was not done. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** It may have been done, or still be done. */
  | { readonly kind: 'unknown'; readonly reason: string }

interface Entry {
  readonly id: number
  readonly key: string
  readonly peer: string
  readonly request: Request
  readonly invokedAt: number
  readonly invokedMs: number
  returnedAt?: number
  returnedMs?: number
  outcome?: Outcome
}

export class History {
  private readonly file: string
  private readonly startedMs = performance.now()
  private readonly entries: Entry[] = []
  private position = 0

  constructor(file: string) {
    this.file = file
  }

  /** Milliseconds since the history began. */
  get nowMs(): number {
    return performance.now() - this.startedMs
  }

  get count(): number {
    return this.entries.length
  }

  /** Notes the request of one operation, and runs it. */
  async record(key: string, peer: string, request: Request, run: () => Promise<Outcome>): Promise<Outcome> {
    const entry: Entry = {
      id: this.entries.length,
      key,
      peer,
      request,
      invokedAt: this.position++,
      invokedMs: this.nowMs
    }
    this.entries.push(entry)
    this.line({ event: 'request', id: entry.id, key, peer, ...request })
    const outcome = await run()
    entry.returnedAt = this.position++
    entry.returnedMs = this.nowMs
    entry.outcome = outcome
    const { kind, ...rest } = outcome
    this.line({ event: 'answer', id: entry.id, outcome: kind, ...rest })
    return outcome
  }

  /** A line about something else than an operation. */
  note(event: string, detail: Readonly<Record<string, unknown>>): void {
    this.line({ event, ...detail })
  }

  /** The operations of each key, for the checker. */
  byKey(): Map<string, Operation[]> {
    const keys = new Map<string, Operation[]>()
    for (const entry of this.entries) {
      const operation = operationOf(entry)
      if (operation === undefined) continue
      const operations = keys.get(entry.key)
      if (operations === undefined) keys.set(entry.key, [operation])
      else operations.push(operation)
    }
    return keys
  }

  /** When writes were acknowledged, in milliseconds, ascending. */
  acknowledgedWritesMs(): number[] {
    const times: number[] = []
    for (const { request, outcome, returnedMs } of this.entries) {
      if (request.kind === 'write' && outcome?.kind === 'ok') times.push(returnedMs!)
    }
    return times.sort((a, b) => a - b)
  }

  /** How often each outcome came of each kind of request, and each reason. */
  tally(): { readonly outcomes: Record<string, number>; readonly reasons: Record<string, number> } {
    const outcomes: Record<string, number> = {}
    const reasons: Record<string, number> = {}
    for (const { request, outcome } of this.entries) {
      const name = `${request.kind} ${outcome?.kind ?? 'under way'}`
      outcomes[name] = (outcomes[name] ?? 0) + 1
      if (outcome === undefined || outcome.kind === 'ok') continue
      const reason = `${request.kind}: ${outcome.reason}`
      reasons[reason] = (reasons[reason] ?? 0) + 1
    }
    return { outcomes, reasons }
  }

  /** The wall clock's time is there for a look beside the logs. */
  private line(detail: Readonly<Record<string, unknown>>): void {
    appendFileSync(
      this.file,
      `${JSON.stringify({ ms: Math.round(this.nowMs * 10) / 10, time: new Date().toISOString(), ...detail })}\n`
    )
  }
}

/** Undefined for what says nothing of the register: what was refused, and reads that failed. */
function operationOf({ id, request, invokedAt, returnedAt, outcome }: Entry): Operation | undefined {
  if (outcome?.kind === 'refused') return undefined
  const known = outcome?.kind === 'ok'
  if (request.kind === 'read' && !known) return undefined
  return {
    id,
    action: actionOf(request, known ? outcome.value : undefined),
    invokedAt,
    returnedAt: known ? returnedAt : undefined
  }
}

function actionOf(request: Request, value: string | undefined): Action {
  switch (request.kind) {
    case 'write':
      return request
    case 'read':
      return { kind: 'read', value }
    case 'delete':
      return { kind: 'delete', removed: value }
  }
}
