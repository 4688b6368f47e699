/**
 * The items of one streamed answer on their way from the network's callbacks to an async loop. Bounded by the credit that was
 * given for them. Used by `rpc.ts`; one reader.
 */

export class ItemQueue {
  #items: Uint8Array[] = []
  /** Next item to hand out; the items before it are gone. */
  #head = 0
  #ended = false
  #error: Error | undefined
  #wake: (() => void) | undefined

  push(item: Uint8Array): void {
    if (this.#ended) return
    this.#items.push(item)
    this.#wake?.()
  }

  /** No more items come: the sequence is complete, or failed. Items that came before are still handed out, unless it failed. */
  end(error: Error | undefined): void {
    if (this.#ended) return
    this.#ended = true
    this.#error = error
    this.#wake?.()
  }

  /**
   * The next item; undefined at the end.
   *
   * @throws the error it ended with, or that of `onTimeout` after `timeoutMs` without an item
   */
  async next(timeoutMs: number, onTimeout: () => Error): Promise<Uint8Array | undefined> {
    if (this.#head === this.#items.length && !this.#ended) await this.#wait(timeoutMs, onTimeout)
    if (this.#error !== undefined) throw this.#error
    if (this.#head === this.#items.length) return undefined
    const item = this.#items[this.#head++]
    if (this.#head === this.#items.length) {
      this.#items = []
      this.#head = 0
    }
    return item
  }

  #wait(timeoutMs: number, onTimeout: () => Error): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#wake = undefined
        reject(onTimeout())
      }, timeoutMs)
      this.#wake = () => {
        this.#wake = undefined
        clearTimeout(timer)
        resolve()
      }
    })
  }
}
