/**
 * Adds an upload to an IPFS node: the blocks flow into `putBlocks` while the upload is still being read, and stay safe from garbage
 * collection until the caller has pinned the root. Called by `cluster-peer.ts` (`add`), which commits the pin.
 */

import type { AddedOutput, AddOptions, CidString } from '@quorate/client/api'
import type { AbortOptions, AddEntry, IpfsBlock, IpfsConnector } from '../ports.ts'
import { importFiles } from './import-files.ts'

/** Blocks that wait for the node; beyond this the upload is read no further. */
const QUEUE_BYTES = 4 * 1024 * 1024

export interface AddFilesInit extends AbortOptions {
  readonly entries: AsyncIterable<AddEntry>
  readonly options: AddOptions
  readonly connector: Pick<IpfsConnector, 'putBlocks'>
}

export interface AddedFiles {
  readonly root: CidString
  /** Lets go of the blocks: call it once the root is pinned, or is not to be. */
  readonly release: () => void
}

/**
 * Yields what a client is told, the root last; returns when all blocks are stored. A caller that stops early leaves nothing held.
 * @throws {AddError} when the upload or an option is no good
 * @throws {IpfsRequestError} when the node refuses a block
 */
export async function* addFiles({
  entries,
  options,
  connector,
  signal
}: AddFilesInit): AsyncGenerator<AddedOutput, AddedFiles> {
  const queue = new BlockQueue()
  const abandoned = new AbortController()
  const putSignal = signal === undefined ? abandoned.signal : AbortSignal.any([signal, abandoned.signal])
  const putting = connector.putBlocks(queue, { signal: putSignal })
  // A failure to store must also end a wait for room.
  putting.catch((error) => queue.fail(error))
  let finished = false
  const importing = importFiles(entries, options, signal === undefined ? {} : { signal })
  try {
    for (;;) {
      const step = await importing.next()
      if (step.done === true) {
        queue.end()
        const { release } = await putting
        finished = true
        return { root: step.value, release }
      }
      if ('block' in step.value) await queue.push(step.value.block)
      else yield step.value.output
    }
  } finally {
    if (!finished) {
      await importing.return('').catch(() => undefined)
      queue.end()
      abandoned.abort()
      await putting.then(
        ({ release }) => release(),
        () => undefined
      )
    }
  }
}

/** One producer, one consumer, bounded. */
class BlockQueue implements AsyncIterable<IpfsBlock> {
  readonly #blocks: IpfsBlock[] = []
  #bytes = 0
  #ended = false
  #failure: { readonly error: unknown } | undefined
  #wake: (() => void) | undefined

  async push(block: IpfsBlock): Promise<void> {
    while (this.#bytes >= QUEUE_BYTES && this.#failure === undefined) await this.#wait()
    if (this.#failure !== undefined) throw this.#failure.error
    this.#blocks.push(block)
    this.#bytes += block.bytes.byteLength
    this.#notify()
  }

  end(): void {
    this.#ended = true
    this.#notify()
  }

  fail(error: unknown): void {
    this.#failure ??= { error }
    this.#notify()
  }

  async *[Symbol.asyncIterator](): AsyncIterator<IpfsBlock> {
    for (;;) {
      const block = this.#blocks.shift()
      if (block !== undefined) {
        this.#bytes -= block.bytes.byteLength
        this.#notify()
        yield block
      } else if (this.#ended) return
      else await this.#wait()
    }
  }

  /** Only one side waits at a time: the producer when it is full, the consumer when it is empty. */
  async #wait(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve
    })
  }

  #notify(): void {
    this.#wake?.()
    this.#wake = undefined
  }
}
