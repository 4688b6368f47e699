/** Folders that move, also to another disk. */

import assert from 'node:assert/strict'
import fs, { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { dirname, join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { moveFolder } from '../../src/config/move-folder.ts'
import { temporaryFolder } from './temporary-folder.ts'

async function makeFolder(parent: string): Promise<string> {
  const folder = join(parent, 'data')
  await mkdir(join(folder, 'deep'), { recursive: true })
  await writeFile(join(folder, 'deep', 'file'), 'content')
  return folder
}

/** A folder on another disk than the temporary ones; undefined if this machine has none at hand. */
async function onOtherDisk(context: TestContext, here: string): Promise<string | undefined> {
  const folder = await mkdtemp('/dev/shm/quorate-').catch(() => undefined)
  if (folder === undefined) return undefined
  context.after(() => rm(folder, { recursive: true, force: true }))
  return (await stat(folder)).dev === (await stat(here)).dev ? undefined : folder
}

/** A folder to which nothing can be renamed from `here`, as if it were on another disk. */
async function asIfOnOtherDisk(context: TestContext, here: string): Promise<string> {
  const folder = await temporaryFolder(context)
  const original = rename
  const refusing = context.mock.method(fs, 'rename', async (from: string, to: string) => {
    if (dirname(from) === here && dirname(to) === folder) {
      throw Object.assign(new Error('EXDEV: cross-device link not permitted'), { code: 'EXDEV' })
    }
    await original(from, to)
  })
  // Makes what others imported by name the same as what is in the module.
  syncBuiltinESMExports()
  context.after(() => {
    refusing.mock.restore()
    syncBuiltinESMExports()
  })
  return folder
}

describe('a folder', () => {
  it('moves as a whole', async (context) => {
    const here = await temporaryFolder(context)
    const from = await makeFolder(here)
    await moveFolder(from, join(here, 'moved'))
    assert.deepEqual(await readdir(here), ['moved'])
    assert.equal(await readFile(join(here, 'moved', 'deep', 'file'), 'utf8'), 'content')
  })

  it('moves to another disk, also when an earlier move was cut short anywhere', async (context) => {
    const here = await temporaryFolder(context)
    const places = [await asIfOnOtherDisk(context, here), await onOtherDisk(context, here)]
    for (const there of places) if (there !== undefined) await moveThere(here, there)
  })
})

/** Whatever an earlier move left behind. */
async function moveThere(here: string, there: string): Promise<void> {
  const to = join(there, 'moved')
  const cuts: ((from: string) => Promise<void>)[] = [
    async () => undefined,
    async () => {
      await mkdir(join(`${to}.partial`, 'deep'), { recursive: true })
      await writeFile(join(`${to}.partial`, 'deep', 'file'), 'con')
    },
    (from) => cp(from, to, { recursive: true })
  ]
  for (const cut of cuts) {
    const from = await makeFolder(here)
    await cut(from)
    await moveFolder(from, to)
    assert.deepEqual([await readdir(here), await readdir(there)], [[], ['moved']])
    assert.equal(await readFile(join(to, 'deep', 'file'), 'utf8'), 'content')
    await rm(to, { recursive: true })
  }
}
