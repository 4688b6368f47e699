/**
 * A state machine that shows what was applied: commands are texts, the state is the list of all of them with their indexes. What
 * survives a crash is what was flushed or restored, as with a database that is written without sync.
 */

import { crc32 } from 'node:zlib'
import type { Command, StateMachine, StateSnapshot } from '../../src/ports.ts'

export interface Applied {
  readonly index: number
  readonly text: string
}

interface State {
  readonly index: number
  readonly applied: readonly Applied[]
  readonly digest: number
}

const EMPTY: State = { index: 0, applied: [], digest: 0 }

const chain = (digest: number, applied: readonly Applied[]): number =>
  applied.reduce((sum, { index, text }) => crc32(`${index} ${text}`, sum), digest)

const CHUNK_BYTES = 1000

export class RegisterMachine implements StateMachine<string> {
  /** All that was ever handed to `apply` by this instance, to be compared with the state: an entry applied twice shows here. */
  readonly calls: Applied[] = []
  restores = 0
  /** When set, `apply` waits for it. */
  gate: Promise<void> | undefined
  /** Memory breaks: what is applied at this index is not what the command says. */
  breaksAt: number | undefined
  #state: State = EMPTY
  #durable: State = this.#state

  get applied(): readonly Applied[] {
    return this.#state.applied
  }

  get texts(): readonly string[] {
    return this.#state.applied.map(({ text }) => text)
  }

  /** The machine as it is after the process was killed. */
  crash(): RegisterMachine {
    const machine = new RegisterMachine()
    machine.#state = this.#durable
    machine.#durable = this.#durable
    return machine
  }

  appliedIndex(): number {
    return this.#state.index
  }

  async apply(commands: readonly Command[], throughIndex: number): Promise<readonly string[]> {
    await this.gate
    const applied = commands.map(({ index, payload }) => ({
      index,
      text: index === this.breaksAt ? 'broken' : Buffer.from(payload).toString()
    }))
    this.calls.push(...applied)
    const { applied: before, digest } = this.#state
    this.#state = { index: throughIndex, applied: [...before, ...applied], digest: chain(digest, applied) }
    return applied.map(({ text }) => `did ${text}`)
  }

  digest(): number {
    return this.#state.digest
  }

  async discard(): Promise<void> {
    this.#durable = EMPTY
  }

  async flush(): Promise<number> {
    this.#durable = this.#state
    return this.#durable.index
  }

  async snapshot(): Promise<StateSnapshot> {
    const { index, applied } = this.#state
    const bytes = Buffer.from(JSON.stringify(applied))
    return {
      index,
      async *chunks() {
        for (let at = 0; at < bytes.length; at += CHUNK_BYTES) yield bytes.subarray(at, at + CHUNK_BYTES)
      },
      async close() {}
    }
  }

  async restore(index: number, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const parts: Uint8Array[] = []
    for await (const chunk of chunks) parts.push(chunk)
    const applied = JSON.parse(Buffer.concat(parts).toString()) as Applied[]
    this.#state = { index, applied, digest: chain(0, applied) }
    this.#durable = this.#state
    this.restores++
  }
}
