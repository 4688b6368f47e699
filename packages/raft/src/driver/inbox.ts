/**
 * What has happened and waits for a turn, in order and within bounds. Used by `driver.ts`.
 *
 * What this node itself has to tell the core (time, a write that is done) is few and is always taken. What the network brings is dropped
 * beyond the bounds: Raft sends it again, and a peer must not fill this node's memory.
 */

import type { Message } from '../core/messages.ts'
import type { Input, NodeId } from '../core/types.ts'
import { recordBytesOf } from './metrics.ts'

/** Most inputs that wait for a turn. */
const MAX_INPUTS = 16_384
/** Most record bytes in them: more than any leader has under way to one peer. */
const MAX_BYTES = 64 * 1024 * 1024

export class Inbox {
  #inputs: Input[] = []
  /** Of the records in `#inputs`. */
  #bytes = 0

  add(input: Input): void {
    this.#inputs.push(input)
  }

  /** A message. @returns its record bytes; undefined if there was no room for it */
  receive(from: NodeId, message: Message): number | undefined {
    if (this.#inputs.length >= MAX_INPUTS || this.#bytes >= MAX_BYTES) return undefined
    const bytes = bytesOf(message)
    this.#bytes += bytes
    this.#inputs.push({ type: 'receive', from, message })
    return bytes
  }

  /** All that waits; none of it waits any more. */
  take(): readonly Input[] {
    const inputs = this.#inputs
    this.clear()
    return inputs
  }

  /** What a turn had no time for goes before what has come since. */
  putBack(inputs: readonly Input[]): void {
    this.#inputs = [...inputs, ...this.#inputs]
    for (const input of inputs) if (input.type === 'receive') this.#bytes += bytesOf(input.message)
  }

  clear(): void {
    this.#inputs = []
    this.#bytes = 0
  }
}

const bytesOf = (message: Message): number =>
  message.type === 'append-entries-request' ? recordBytesOf(message.entries) : 0
