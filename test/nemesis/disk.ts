/** A small disk of its own for the consensus data of a peer, which a fault can fill. A tmpfs, mounted in the sandbox of the run (`sandbox.ts`). */

import { mkdir, mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from '../e2e/support/daemon.ts'

/** Room for a few segments of the log. */
const SIZE = '64m'
const MIB = new Uint8Array(1024 * 1024)

export class SmallDisk {
  readonly folder: string

  private constructor(folder: string) {
    this.folder = folder
  }

  /** Why there can be no such disk; undefined if there can. */
  static async missing(): Promise<string | undefined> {
    const folder = await mkdtemp(join(tmpdir(), 'quorate-nemesis-disk-'))
    try {
      await (await SmallDisk.mount(folder)).unmount()
      return undefined
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }

  /** @throws {Error} when mounting is not permitted */
  static async mount(folder: string): Promise<SmallDisk> {
    await mkdir(folder, { recursive: true })
    const { code, stderr } = await run(['mount', '-t', 'tmpfs', '-o', `size=${SIZE},mode=0700`, 'nemesis', folder], [])
    if (code !== 0) throw new Error(`cannot mount a tmpfs: ${stderr.trim()}`)
    return new SmallDisk(folder)
  }

  /** Takes what room there is, to the last byte. */
  async fill(): Promise<void> {
    const file = await open(this.filler, 'w')
    try {
      for (let chunk = MIB; chunk.length > 0; ) {
        try {
          await file.write(chunk)
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
          chunk = chunk.subarray(0, chunk.length >> 1)
        }
      }
    } finally {
      await file.close()
    }
  }

  async drain(): Promise<void> {
    await rm(this.filler, { force: true })
  }

  async unmount(): Promise<void> {
    await run(['umount', '--lazy', this.folder], [])
  }

  private get filler(): string {
    return join(this.folder, 'filler')
  }
}
