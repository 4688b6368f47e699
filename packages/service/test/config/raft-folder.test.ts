import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { moveAsideRaft, refuseForeignRaft } from '../../src/config/raft-folder.ts'
import { temporaryFolder } from './temporary-folder.ts'

async function fill(folder: string, name: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'log'), name)
}

async function contents(folder: string): Promise<Record<string, string>> {
  const names = (await readdir(folder)).sort()
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name, 'log'), 'utf8')]))
  )
}

describe('moving consensus data aside', () => {
  it('numbers backups from the newest, and removes only the oldest of too many', async (context) => {
    const folder = await temporaryFolder(context)
    const raft = join(folder, 'raft')
    for (const name of ['a', 'b', 'c']) {
      await fill(raft, name)
      assert.equal(await moveAsideRaft(raft, 3), `${raft}.old.0`)
    }
    assert.deepEqual(await contents(folder), { 'raft.old.0': 'c', 'raft.old.1': 'b', 'raft.old.2': 'a' })
    await fill(raft, 'd')
    await moveAsideRaft(raft, 3)
    assert.deepEqual(await contents(folder), { 'raft.old.0': 'd', 'raft.old.1': 'c', 'raft.old.2': 'b' })
  })

  it('loses nothing after a crash in the middle of it', async (context) => {
    const folder = await temporaryFolder(context)
    const raft = join(folder, 'raft')
    for (const name of ['a', 'b']) {
      await fill(raft, name)
      await moveAsideRaft(raft, 3)
    }
    await fill(raft, 'c')
    // As far as a crash let it come: one backup moved up, the rest not yet.
    await rename(`${raft}.old.1`, `${raft}.old.2`)
    await moveAsideRaft(raft, 3)
    assert.deepEqual(await contents(folder), { 'raft.old.0': 'c', 'raft.old.1': 'b', 'raft.old.2': 'a' })
  })

  it('does nothing when there is nothing', async (context) => {
    const raft = join(await temporaryFolder(context), 'raft')
    assert.equal(await moveAsideRaft(raft, 3), undefined)
    await mkdir(raft)
    assert.equal(await moveAsideRaft(raft, 3), undefined)
  })
})

describe('the raft folder of IPFS Cluster', () => {
  it('is refused with the way out, and left as it is', async (context) => {
    const raft = join(await temporaryFolder(context), 'raft')
    await refuseForeignRaft(raft)
    await fill(raft, 'a')
    await refuseForeignRaft(raft)
    await writeFile(join(raft, 'raft.db'), 'bolt')
    await assert.rejects(refuseForeignRaft(raft), { code: 'FOREIGN_RAFT_DATA', message: /state export/ })
    assert.deepEqual((await readdir(raft)).sort(), ['log', 'raft.db'])
  })
})
