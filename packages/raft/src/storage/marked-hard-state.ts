/**
 * Term and vote together with the durable mark, as the log writes them: one write at a time, both copies before the next, and a mark that
 * follows the commits after a while by itself. Used by `segment-log.ts`; `hard-state.ts` has the file.
 */

import type { HardState } from '../core/types.ts'
import type { Clock } from '../ports.ts'
import type { FileSystem } from './file-system.ts'
import { type DurableMark, HardStateFile, NO_MARK, type StoredHardState } from './hard-state.ts'

export interface MarkedHardStateInit {
  readonly fileSystem: FileSystem
  readonly folder: string
  readonly seed: number
  /** How far the mark may lag behind the commits, in ms; Infinity: until it is written for another reason. */
  readonly markDelayMs: number
  readonly clock: Pick<Clock, 'after'>
  /** What is durable of the log now; undefined to leave the mark that stands, since it proves a fault. */
  readonly currentMark: () => Omit<DurableMark, 'closed'> | undefined
  /** Why nothing may be written any more, if so. */
  readonly failure: () => { readonly error: unknown } | undefined
  readonly onFailed: (error: unknown) => void
}

export class MarkedHardState {
  readonly #init: MarkedHardStateInit
  #value: HardState = { term: 0, votedFor: undefined }
  /** What the file holds. */
  #mark: DurableMark = NO_MARK
  /** Undefined until the first write to an empty folder. */
  #file: HardStateFile | undefined
  /** The write that is under way, which may be a mark beside a commit; never rejects. */
  #writing: Promise<void> = Promise.resolve()
  #cancelMark: (() => void) | undefined

  constructor(init: MarkedHardStateInit) {
    this.#init = init
  }

  get value(): HardState {
    return this.#value
  }

  get mark(): DurableMark {
    return this.#mark
  }

  get exists(): boolean {
    return this.#file !== undefined
  }

  /** What was read counts from here on. It is not durable for sure before `open`. */
  take({ content }: StoredHardState): void {
    this.#value = content.hardState
    this.#mark = content.mark
  }

  async open(stored: StoredHardState): Promise<void> {
    const { fileSystem, folder, seed } = this.#init
    this.#file = await HardStateFile.open(fileSystem, folder, seed, stored)
    await this.write()
  }

  /** The first write to an empty folder. A crash before there is a log leaves an empty one with a hard state, which is what it is. */
  async create(hardState: HardState): Promise<void> {
    const { fileSystem, folder, seed } = this.#init
    this.#file = await HardStateFile.create(fileSystem, folder, seed, hardState)
  }

  /**
   * Waits its turn and writes the first copy; the answer, which has to be called, writes the second. Without `next` it is the mark
   * that is brought up to date.
   */
  async begin(next?: HardState, closed = false): Promise<() => Promise<void>> {
    const before = this.#writing
    const { promise, resolve: release } = Promise.withResolvers<void>()
    this.#writing = promise
    await before
    try {
      const failure = this.#init.failure()
      if (failure !== undefined) throw failure.error
      const value = next ?? this.#value
      const current = this.#init.currentMark()
      const mark = current === undefined ? this.#mark : { ...current, closed }
      const { second } = await this.#file!.write(value, mark)
      return async () => {
        try {
          await second()
          this.#value = value
          this.#mark = mark
        } catch (error) {
          // As below: else a mark that waits would follow, with the term and vote of before (found by the simulator).
          this.#init.onFailed(error)
          throw error
        } finally {
          release()
        }
      }
    } catch (error) {
      // Before the next in line gets its turn, it must see that the file is not to be written any more.
      this.#init.onFailed(error)
      release()
      throw error
    }
  }

  async write(next?: HardState, closed = false): Promise<void> {
    const second = await this.begin(next, closed)
    await second()
  }

  /** Brings the mark up to date after a while, unless that is due already. */
  scheduleMark(): void {
    const { clock, markDelayMs, currentMark, onFailed } = this.#init
    if (this.#cancelMark !== undefined || markDelayMs === Number.POSITIVE_INFINITY) return
    this.#cancelMark = clock.after(markDelayMs, () => {
      this.#cancelMark = undefined
      const current = currentMark()
      if (current === undefined || current.seq === this.#mark.seq || this.#init.failure() !== undefined) return
      this.write().catch(onFailed)
    })
  }

  cancelMark(): void {
    this.#cancelMark?.()
    this.#cancelMark = undefined
  }

  /** Resolves when no write is under way. */
  idle(): Promise<void> {
    return this.#writing
  }

  async close(): Promise<void> {
    await this.#file?.close()
  }
}
