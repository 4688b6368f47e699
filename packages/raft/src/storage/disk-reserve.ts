/**
 * Room on the disk for what must not fail (T56): a file of ballast beside the log, which is given up when a write finds the disk full, or
 * shortly before, and a watch over what is free. `segment-log.ts` asks for the ballast; the driver is told how much room there is, refuses proposals when there is
 * none to spare, and hands leadership over. Once there is room again the ballast is made anew, and all is as before.
 *
 * The ballast is random bytes, since zeros take no room where a file system compresses. It is not synced: room is taken when a file is
 * written, and a ballast that a crash cut short is made again.
 */

import { randomBytes } from 'node:crypto'
import type { RaftLogger } from '../api.ts'
import type { SpaceLeft } from '../driver/health.ts'
import type { Clock, DiskWatch } from '../ports.ts'
import { isDiskFull } from './errors.ts'
import { type FileSystem, nodeFileSystem } from './file-system.ts'
import { systemTimers } from './system-timers.ts'

const BALLAST_FILE = 'ballast'
const LARGEST_BALLAST_BYTES = 64 * 1024 * 1024
/** A small volume gives this part of itself. */
const VOLUME_PART = 16
const STEP_BYTES = 1024 * 1024
const DEFAULT_INTERVAL_MS = 1000
/** With less than this part of the reserve free, the ballast is given up before anybody asks. */
const RELEASE_PART = 0.25
/** Having had none to spare, there has to be so much more than the reserve before there is again. */
const RELIEF = 1.25

export interface DiskReserveInit {
  /** That of the log. */
  readonly folder: string
  /** Size of the ballast, and the room that is to stay free beside it, in bytes. @default 64 MiB, or a sixteenth of a smaller volume */
  readonly ballastBytes?: number
  /** Between two looks at what is free. @default 1000 */
  readonly intervalMs?: number
  /** @default timers of Node that do not keep the process alive */
  readonly clock?: Pick<Clock, 'after'>
  /** @default the real one */
  readonly fileSystem?: FileSystem
  readonly logger?: RaftLogger
}

export interface DiskReserve extends DiskWatch {
  /** Gives the ballast up, as the disk is full. @returns whether there was any */
  release(): Promise<boolean>
}

/**
 * The reserve of the volume that `folder` is on. Does nothing until it is started, which a node does that was given it.
 *
 * @example
 * const disk = openDiskReserve({ folder })
 * const raft = await openRaft({ storage: openSegmentLog({ folder, reserve: disk }), disk, snapshots, transport, stateMachine }, init)
 */
export function openDiskReserve(init: DiskReserveInit): DiskReserve {
  return new Reserve(init)
}

class Reserve implements DiskReserve {
  readonly #init: DiskReserveInit
  readonly #path: string
  readonly #fileSystem: FileSystem
  #onSpace: (space: SpaceLeft) => void = () => {}
  #space: SpaceLeft = 'enough'
  #stopped = false
  #cancel: (() => void) | undefined
  /** Looks, makings and releases, one after the other. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(init: DiskReserveInit) {
    this.#init = init
    this.#path = `${init.folder}/${BALLAST_FILE}`
    this.#fileSystem = init.fileSystem ?? nodeFileSystem
  }

  start(onSpace: (space: SpaceLeft) => void): void {
    this.#onSpace = onSpace
    onSpace(this.#space)
    this.#watch(0)
  }

  release(): Promise<boolean> {
    return this.#alone(() => this.#giveUp())
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancel?.()
    await this.#turn
  }

  #watch(delayMs: number): void {
    if (this.#stopped) return
    const { clock = systemTimers, intervalMs = DEFAULT_INTERVAL_MS } = this.#init
    this.#cancel = clock.after(delayMs, () => {
      void this.#alone(() => this.#look())
        .catch((error: unknown) => this.#init.logger?.warn(`The room on the disk is not known: ${String(error)}`))
        .finally(() => this.#watch(intervalMs))
    })
  }

  async #look(): Promise<void> {
    const volume = await this.#fileSystem.space?.(this.#init.folder)
    const part = volume === undefined ? LARGEST_BALLAST_BYTES : Math.floor(volume.totalBytes / VOLUME_PART)
    const reserve = this.#init.ballastBytes ?? Math.min(LARGEST_BALLAST_BYTES, part)
    let freeBytes = volume?.freeBytes ?? Number.POSITIVE_INFINITY
    if ((await this.#fileSystem.size(this.#path)) !== reserve) {
      if (freeBytes < 2 * reserve || !(await this.#make(reserve))) {
        this.#tell('none')
        return
      }
      freeBytes -= reserve
    }
    if (freeBytes < RELEASE_PART * reserve) {
      // Others on the volume, the state among them, have no way to ask for it.
      await this.#giveUp()
      return
    }
    const least = this.#space === 'none' ? RELIEF * reserve : reserve
    this.#tell(freeBytes < least ? 'none' : freeBytes < 2 * reserve ? 'low' : 'enough')
  }

  /** @returns whether there was any */
  async #giveUp(): Promise<boolean> {
    const bytes = (await this.#fileSystem.size(this.#path)) ?? 0
    await this.#fileSystem.remove(this.#path)
    if (bytes > 0) this.#init.logger?.warn(`The disk is full: gave up ${bytes} bytes of ballast`)
    this.#tell('none')
    return bytes > 0
  }

  /** @returns whether there was room for it */
  async #make(bytes: number): Promise<boolean> {
    await this.#fileSystem.remove(this.#path)
    const step = randomBytes(Math.min(STEP_BYTES, bytes))
    try {
      const file = await this.#fileSystem.open(this.#path, 'create', false)
      try {
        for (let at = 0; at < bytes && !this.#stopped; at += step.length) {
          await file.write([step.subarray(0, Math.min(step.length, bytes - at))], at)
        }
      } finally {
        await file.close()
      }
      return true
    } catch (error) {
      await this.#fileSystem.remove(this.#path)
      if (isDiskFull(error)) return false
      throw error
    }
  }

  #tell(space: SpaceLeft): void {
    if (space === this.#space) return
    this.#space = space
    this.#init.logger?.warn(
      `There is ${space === 'none' ? 'no room to spare' : `${space} room`} on the disk of the log`
    )
    this.#onSpace(space)
  }

  #alone<T>(task: () => Promise<T>): Promise<T> {
    const next = this.#turn.then(task)
    this.#turn = next.catch(() => {})
    return next
  }
}
