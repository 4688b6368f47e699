/**
 * A list of inputs that costs little to keep: those that come by the thousand stand as numbers in one long array, so that the objects
 * they came as can go at once, and none grows old for the collector to move. What is rare is kept as it is. Entries are kept by
 * reference: the log holds them anyway. Used by `recorder.ts`.
 */

import type { AppendEntriesRequest, AppendEntriesResponse, Message } from '../core/messages.ts'
import { payloadOf } from '../core/record.ts'
import type { Effect, Entry, Health, Input } from '../core/types.ts'

/** The first number of an item: its form. After it stand the time, the digest, and what the form says. */
const Form = { other: 0, tick: 1, persisted: 2, applied: 3, append: 4, answer: 5, agree: 6, propose: 7 } as const

/** Fields of the messages and inputs that are taken apart here; one that is added to them does not compile before it is added here. */
type Complete<Fields, All> = Exclude<All, Fields> extends never ? true : never
type AppendField = 'type' | 'term' | 'prevIndex' | 'prevTerm' | 'prevChain' | 'entries' | 'commitIndex' | 'readPosition'
type AnswerField =
  | 'type'
  | 'term'
  | 'success'
  | 'index'
  | 'hintIndex'
  | 'hintTerm'
  | 'readPosition'
  | 'health'
  | 'priority'
true satisfies Complete<AppendField, keyof AppendEntriesRequest>
true satisfies Complete<AnswerField, keyof AppendEntriesResponse>

type Proposal = Extract<Input, { type: 'propose' }>
type KeysOf<T extends Input['type']> = keyof Extract<Input, { type: T }>
true satisfies Complete<'type' | 'from' | 'message', KeysOf<'receive'>>
true satisfies Complete<'type', KeysOf<'tick'>>
true satisfies Complete<'type' | 'seq', KeysOf<'persisted'>>
true satisfies Complete<'type' | 'index' | 'digest', KeysOf<'applied'>>
true satisfies Complete<'type' | 'ticket' | 'payloads', KeysOf<'propose'>>

const healths: readonly Health[] = ['good', 'degraded', 'unfit']

/** The longest item. */
const MAX_ITEM_NUMBERS = 12
/** Members are fewer; beyond that, messages are kept as they are. */
const MAX_NAMES = 1024
const FIRST_NUMBERS = 4096
const NO_ENTRIES: readonly Entry[] = []
/** What is not written of an answer that agrees: success, no hints, in good health. */
const AGREED: [number, number, number, number] = [1, 0, 0, 0]

/** What is on a tape, as it was put there. */
export interface TapeContent {
  readonly inputs: Input[]
  readonly timesMs: number[]
  readonly digests: number[]
}

export class InputTape {
  #numbers = new Float64Array(FIRST_NUMBERS)
  #at = 0
  #others: unknown[] = []
  /** Of the senders. */
  #names: string[] = []
  readonly #maxNumbers: number
  count = 0

  /** @param maxNumbers - how long it may get; an item takes 3 to 12 */
  constructor(maxNumbers: number) {
    this.#maxNumbers = Math.max(maxNumbers, FIRST_NUMBERS)
  }

  get full(): boolean {
    return this.#at + MAX_ITEM_NUMBERS > this.#maxNumbers
  }

  /** Forgets everything, and keeps its memory for what comes. */
  clear(): void {
    this.#at = 0
    this.#others = []
    this.#names = []
    this.count = 0
  }

  /**
   * Not to be called when it is full.
   *
   * @param effects - of the step: those from `from` on
   */
  add(input: Input, nowMs: number, digest: number, effects: readonly Effect[], from: number): void {
    if (this.#at + MAX_ITEM_NUMBERS > this.#numbers.length) this.#grow()
    const numbers = this.#numbers
    const at = this.#at
    numbers[at + 1] = nowMs
    numbers[at + 2] = digest
    this.count++
    switch (input.type) {
      case 'receive':
        this.#addMessage(at, input.from, input.message, input)
        break
      case 'tick':
        numbers[at] = Form.tick
        this.#at = at + 3
        break
      case 'persisted':
        numbers[at] = Form.persisted
        numbers[at + 3] = input.seq
        this.#at = at + 4
        break
      case 'applied':
        if (input.digest !== undefined) {
          this.#addOther(at, input)
          break
        }
        numbers[at] = Form.applied
        numbers[at + 3] = input.index
        this.#at = at + 4
        break
      case 'propose':
        this.#addProposal(at, input, effects, from)
        break
      default:
        this.#addOther(at, input)
        break
    }
  }

  #addMessage(at: number, from: string, message: Message, input: Input): void {
    const numbers = this.#numbers
    const name = this.#nameOf(from)
    if (name < 0) {
      this.#addOther(at, input)
    } else if (message.type === 'append-entries-response') {
      const { success, hintIndex, hintTerm, health } = message
      numbers[at + 3] = name
      numbers[at + 4] = message.term
      numbers[at + 5] = message.index
      numbers[at + 6] = message.readPosition
      numbers[at + 7] = message.priority
      if (success && hintIndex === 0 && hintTerm === 0 && health === 'good') {
        numbers[at] = Form.agree
        this.#at = at + 8
        return
      }
      numbers[at] = Form.answer
      numbers[at + 8] = success ? 1 : 0
      numbers[at + 9] = hintIndex
      numbers[at + 10] = hintTerm
      numbers[at + 11] = healths.indexOf(health)
      this.#at = at + 12
    } else if (message.type === 'append-entries-request') {
      const { entries } = message
      numbers[at] = Form.append
      numbers[at + 3] = name
      numbers[at + 4] = message.term
      numbers[at + 5] = message.prevIndex
      numbers[at + 6] = message.prevTerm
      numbers[at + 7] = message.prevChain
      numbers[at + 8] = message.commitIndex
      numbers[at + 9] = message.readPosition
      numbers[at + 10] = entries.length
      if (entries.length > 0) this.#others.push(entries)
      this.#at = at + 11
    } else {
      this.#addOther(at, input)
    }
  }

  /** The number that stands for a name; -1 when there are too many. */
  #nameOf(from: string): number {
    const known = this.#names.indexOf(from)
    if (known >= 0 || this.#names.length >= MAX_NAMES) return known
    return this.#names.push(from) - 1
  }

  /** The entries that were made of the payloads stand for them: they stay in the log, and the payloads can go. */
  #addProposal(at: number, input: Proposal, effects: readonly Effect[], from: number): void {
    for (let i = from; i < effects.length; i++) {
      const effect = effects[i]!
      if (effect.type !== 'persist' || effect.entries.length !== input.payloads.length) continue
      this.#numbers[at] = Form.propose
      this.#numbers[at + 3] = input.ticket
      this.#others.push(effect.entries)
      this.#at = at + 4
      return
    }
    this.#addOther(at, input)
  }

  #addOther(at: number, input: Input): void {
    this.#numbers[at] = Form.other
    this.#others.push(input)
    this.#at = at + 3
  }

  #grow(): void {
    const numbers = new Float64Array(Math.min(2 * this.#numbers.length, this.#maxNumbers))
    numbers.set(this.#numbers)
    this.#numbers = numbers
  }

  read(): TapeContent {
    const content: TapeContent = { inputs: [], timesMs: [], digests: [] }
    const numbers = this.#numbers
    const others = this.#others.values()
    const other = (): unknown => others.next().value
    for (let at = 0; at < this.#at; ) {
      const form = numbers[at]
      content.timesMs.push(numbers[at + 1]!)
      content.digests.push(numbers[at + 2]!)
      const own = at + 3
      if (form === Form.append) {
        content.inputs.push(this.#readAppend(own, other))
        at = own + 8
      } else if (form === Form.answer || form === Form.agree) {
        content.inputs.push(this.#readAnswer(own, form === Form.agree))
        at = own + (form === Form.agree ? 5 : 9)
      } else if (form === Form.propose) {
        const payloads = (other() as readonly Entry[]).map(payloadOf)
        content.inputs.push({ type: 'propose', ticket: numbers[own]!, payloads })
        at = own + 1
      } else if (form === Form.persisted || form === Form.applied) {
        const value = numbers[own]!
        content.inputs.push(
          form === Form.persisted ? { type: 'persisted', seq: value } : { type: 'applied', index: value }
        )
        at = own + 1
      } else {
        content.inputs.push(form === Form.tick ? { type: 'tick' } : (other() as Input))
        at = own
      }
    }
    return content
  }

  #readAppend(at: number, other: () => unknown): Input {
    const [name, term, prevIndex, prevTerm, prevChain, commitIndex, readPosition, count] = this.#row(at, 8)
    const entries = count === 0 ? NO_ENTRIES : (other() as readonly Entry[])
    const type = 'append-entries-request'
    const message = { type, term, prevIndex, prevTerm, prevChain, entries, commitIndex, readPosition } as const
    return { type: 'receive', from: this.#names[name]!, message }
  }

  #readAnswer(at: number, agrees: boolean): Input {
    const [name, term, index, readPosition, priority] = this.#row(at, 5)
    const [success, hintIndex, hintTerm, health] = agrees ? AGREED : this.#row(at + 5, 4)
    const type = 'append-entries-response'
    const words = { success: success === 1, hintIndex, hintTerm, health: healths[health]! }
    return {
      type: 'receive',
      from: this.#names[name]!,
      message: { type, term, index, readPosition, priority, ...words }
    }
  }

  #row(at: number, count: 8): [number, number, number, number, number, number, number, number]
  #row(at: number, count: 5): [number, number, number, number, number]
  #row(at: number, count: 4): [number, number, number, number]
  #row(at: number, count: number): number[] {
    return [...this.#numbers.subarray(at, at + count)]
  }
}
