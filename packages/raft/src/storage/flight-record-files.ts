/**
 * Flight records on disk: `FlightRecordStore` for the driver. Files `flight-<time>.record` in a folder, readable by their owner alone, since
 * they hold what was proposed; the newest few are kept. Opened by the application, which chooses the folder.
 */

import type { FlightRecordStore } from '../ports.ts'
import { type FileSystem, nodeFileSystem } from './file-system.ts'

export interface FlightRecordFilesInit {
  /** Made when the first record is written. */
  readonly folder: string
  /** Older ones are removed. @default 4 */
  readonly keep?: number
  /** @default the real one */
  readonly fileSystem?: FileSystem
  /** The time of day, for the names. @default that of the system */
  readonly now?: () => Date
}

const DEFAULT_KEEP = 4
const FINISHED = /^flight-[\dTZ-]+\.record$/
const UNFINISHED = /^flight-[\dTZ-]+\.record\.new$/

export function openFlightRecordFiles(init: FlightRecordFilesInit): FlightRecordStore {
  const { folder, keep = DEFAULT_KEEP, fileSystem = nodeFileSystem, now = () => new Date() } = init
  let last: Promise<unknown> = Promise.resolve()

  const write = async (parts: Iterable<Uint8Array>): Promise<string> => {
    await fileSystem.makeFolder(folder)
    const names = (await fileSystem.list(folder)) ?? []
    // What was given up half-way, by an earlier process or by a disk that was full.
    for (const name of names) if (UNFINISHED.test(name)) await fileSystem.remove(`${folder}/${name}`)
    const finished = names.filter((name) => FINISHED.test(name))
    const path = `${folder}/${nameFor(now(), new Set(finished))}`
    await writeFile(fileSystem, `${path}.new`, parts)
    await fileSystem.rename(`${path}.new`, path)
    await fileSystem.syncFolder(folder)
    // Names are in order of time, so the first are the oldest.
    const tooMany = finished.length + 1 - keep
    for (const name of finished.slice(0, Math.max(0, tooMany))) await fileSystem.remove(`${folder}/${name}`)
    return path
  }

  return {
    save(parts) {
      const saved = last.then(() => write(parts))
      last = saved.catch(() => undefined)
      return saved
    }
  }
}

/** A name by the time to the millisecond, and a later one if that is taken. */
function nameFor(time: Date, taken: ReadonlySet<string>): string {
  for (let ms = time.getTime(); ; ms++) {
    const name = `flight-${new Date(ms).toISOString().replaceAll(/[:.]/g, '-')}.record`
    if (!taken.has(name)) return name
  }
}

async function writeFile(fileSystem: FileSystem, path: string, parts: Iterable<Uint8Array>): Promise<void> {
  const file = await fileSystem.open(path, 'create', false)
  try {
    let position = 0
    for (const part of parts) {
      await file.write([part], position)
      position += part.length
    }
    await file.sync()
  } finally {
    await file.close()
  }
}
