/** A temporary folder for the tests that run on the real file system. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export async function realFolder(): Promise<{ folder: string; dispose: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'quorate-storage-'))
  return { folder, dispose: () => rm(folder, { recursive: true, force: true }) }
}
