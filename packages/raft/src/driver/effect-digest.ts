/**
 * A number that two lists of effects have in common, in all likelihood, only if they are the same: the flight recorder keeps one for
 * each step, and a replay compares its own. Not cryptographic, and fast above all: what is common is mixed in field by field, of
 * entries only the chain of the last, which stands for all before it; what is rare is walked through, whatever it holds.
 *
 * Used by `recorder.ts` and `../sim/replay.ts`.
 */

import type { Message } from '../core/messages.ts'
import type { Effect, Entry, NodeId } from '../core/types.ts'

/** Continues `digest`, a signed 32-bit number, over the effects from `from` on. */
export function digestEffects(digest: number, effects: readonly Effect[], from: number): number {
  let mixed = mix(digest, effects.length - from)
  for (let at = from; at < effects.length; at++) mixed = digestEffect(mixed, effects[at]!)
  return mixed
}

/** A multiplication by the golden ratio's fraction spreads a change over the higher bits, the shift brings it down again. */
function mix(digest: number, value: number): number {
  const product = Math.imul(digest ^ value, 0x9e3779b1)
  return product ^ (product >>> 15)
}

function digestEffect(digest: number, effect: Effect): number {
  switch (effect.type) {
    case 'send':
      return digestMessage(digestName(digest, effect.to), effect.message)
    case 'persist': {
      const { seq, hardState, truncateFrom, entries, release } = effect
      let mixed = digestEntries(mix(mix(digest, 2), seq), entries)
      if (truncateFrom !== undefined) mixed = mix(mixed, truncateFrom)
      if (hardState !== undefined) mixed = digestName(mix(mixed, hardState.term), hardState.votedFor ?? '')
      for (const { to, message } of release) mixed = digestMessage(digestName(mixed, to), message)
      return mixed
    }
    case 'apply':
      return digestEntries(mix(digest, 3), effect.entries)
    case 'proposed':
      return mix(mix(mix(mix(digest, 4), effect.ticket), effect.first), effect.last)
    default:
      return digestValue(mix(digest, 5), effect)
  }
}

function digestMessage(digest: number, message: Message): number {
  switch (message.type) {
    case 'append-entries-request': {
      const { term, prevIndex, commitIndex, entries } = message
      return digestEntries(mix(digest, weigh(term, prevIndex, commitIndex)), entries)
    }
    case 'append-entries-response': {
      const { term, success, index, hintIndex } = message
      return mix(digest, weigh(success ? term : -term, index, hintIndex))
    }
    default:
      return digestValue(digest, message)
  }
}

const digestEntries = (digest: number, entries: readonly Entry[]): number =>
  entries.length === 0 ? digest : mix(digest, entries[entries.length - 1]!.chain + entries.length)

/** Names of nodes differ in their last characters, being hashes of keys; this takes one, since a wrong name comes with other wrong things. */
const digestName = (digest: number, name: NodeId): number =>
  name.length === 0 ? digest : mix(digest, name.charCodeAt(name.length - 1))

/** Three numbers as one, by different odd weights. */
const weigh = (a: number, b: number, c: number): number =>
  Math.imul(a, 0x85ebca6b) + Math.imul(b, 0xc2b2ae35) + Math.imul(c, 0x27d4eb2f)

/** Anything plain: numbers, texts, bytes, lists, objects. */
function digestValue(digest: number, value: unknown): number {
  if (typeof value === 'number')
    return Number.isInteger(value) ? mix(digest, value) : digestValue(digest, String(value))
  if (typeof value === 'string') {
    let mixed = mix(digest, value.length)
    for (let at = 0; at < value.length; at++) mixed = mix(mixed, value.charCodeAt(at))
    return mixed
  }
  if (value instanceof Uint8Array) {
    let mixed = mix(digest, value.length)
    for (const byte of value) mixed = mix(mixed, byte)
    return mixed
  }
  if (typeof value !== 'object' || value === null) return digestValue(digest, String(value))
  let mixed = mix(digest, 6)
  for (const [name, item] of Object.entries(value)) mixed = digestValue(digestValue(mixed, name), item)
  return mixed
}
