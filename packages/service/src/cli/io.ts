/**
 * What the command line has of the world, so that tests can give it another: streams, environment. Messages go to stderr and only what
 * was asked for (questions, help, the version) to stdout, as in IPFS Cluster.
 */

import { createInterface } from 'node:readline'
import type { Environment } from '../config/environment.ts'

export interface CommandIo {
  readonly env: Environment
  readonly stdin: NodeJS.ReadableStream
  /** Writes text to stdout. */
  out(text: string): void
  /** Writes text to stderr. */
  err(text: string): void
}

/** Questions on stdin, one line an answer; one of these for a whole command, since it reads ahead. */
export class Questions {
  readonly #io: CommandIo
  #lines: AsyncIterator<string> | undefined
  #close: (() => void) | undefined

  constructor(io: CommandIo) {
    this.#io = io
  }

  /** @returns the answer without its line break; undefined at the end of the input */
  async ask(question: string): Promise<string | undefined> {
    this.#io.out(question)
    if (this.#lines === undefined) {
      const reader = createInterface({ input: this.#io.stdin, terminal: false })
      this.#lines = reader[Symbol.asyncIterator]()
      this.#close = () => reader.close()
    }
    const { value, done } = await this.#lines.next()
    return done === true ? undefined : value
  }

  /** Three chances for y or n; no answer is no. */
  async confirm(question: string): Promise<boolean> {
    for (let attempt = 0; attempt < 3; attempt++) {
      const answer = (await this.ask(`${question} Continue? [y/n]: `))?.trim().toLowerCase()
      if (answer === 'y') return true
      if (answer === undefined || answer === '' || answer === 'n') return false
    }
    return false
  }

  /** Lets go of stdin, without which the process would not end. */
  close(): void {
    this.#close?.()
  }
}
