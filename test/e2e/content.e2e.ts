/** Real content: added at one peer, held by all, read back from each alone, and gone after it was unpinned and collected. */

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { folderBytes, readContent, untilStatus, whileFrozen } from './support/content.ts'
import { bootstrapCluster, cleanUp, type Daemon } from './support/daemon.ts'

const MIB = 1024 * 1024
/** Of 100 MiB: leaves of 256 KiB, three nodes with up to 174 links each, and the root. */
const BLOCKS = 400 + 3 + 1

describe('content of a cluster of three peers', () => {
  let daemons: readonly Daemon[] = []
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'quorate-e2e-content-'))
    daemons = await bootstrapCluster(3)
  })
  after(async () => {
    await cleanUp(daemons)
    await rm(folder, { recursive: true, force: true })
  })

  /** Adds with `ctl` at the first peer. @returns the lines that it printed */
  async function add(...words: string[]): Promise<string[]> {
    const { code, stdout, stderr } = await daemons[0]!.ctl('add', ...words)
    assert.equal(code, 0, stderr)
    return stdout.trimEnd().split('\n')
  }

  /** What each peer answers for a path while the others are frozen. */
  async function assertEachHas(path: string, expected: Buffer): Promise<void> {
    for (const daemon of daemons) {
      const others = daemons.filter((other) => other !== daemon)
      const found = await whileFrozen(others, () => readContent(daemon, path))
      assert.ok(found.equals(expected), `${daemon.name} has other bytes for ${path}`)
    }
  }

  describe('100 MiB of random bytes', () => {
    const content = randomBytes(100 * MIB)
    let cid: string

    it('are pinned on all three after an add at one', async (t) => {
      const file = join(folder, 'random')
      await writeFile(file, content)
      const startMs = performance.now()
      const [line] = await add('-Q', file)
      cid = line!
      const addedMs = performance.now()
      await untilStatus(daemons, cid, 'pinned')
      const pinnedMs = performance.now()
      const seconds = (ms: number): string => (ms / 1000).toFixed(1)
      t.diagnostic(`added after ${seconds(addedMs - startMs)} s, pinned on all after ${seconds(pinnedMs - startMs)} s`)
    })

    it('are the same byte for byte on each peer alone', async () => {
      await assertEachHas(cid, content)
    })

    it('take no space any more on any peer after pin rm and ipfs gc', async () => {
      for (const daemon of daemons) {
        const bytes = await folderBytes(join(daemon.folder, 'ipfs'))
        assert.ok(bytes >= content.byteLength, `${daemon.name} holds ${bytes} bytes`)
      }
      assert.equal((await daemons[1]!.ctl('pin', 'rm', cid)).code, 0)
      await untilStatus(daemons, cid, 'unpinned')
      const { code, stdout, stderr } = await daemons[2]!.ctl('ipfs', 'gc')
      assert.equal(code, 0, stderr)
      const removed = stdout.match(/^ {4}- \S+$/gm) ?? []
      assert.equal(removed.length, daemons.length * BLOCKS, 'it names every block that it removed on each peer')
      for (const daemon of daemons) {
        const bytes = await folderBytes(join(daemon.folder, 'ipfs'))
        assert.ok(bytes < MIB, `${daemon.name} still holds ${bytes} bytes`)
      }
    })

    it('do not disturb what is still pinned', async () => {
      const kept = randomBytes(3 * MIB)
      const file = join(folder, 'kept')
      await writeFile(file, kept)
      const [keptCid] = await add('-Q', file)
      await untilStatus(daemons, keptCid!, 'pinned')
      assert.equal((await daemons[0]!.ctl('ipfs', 'gc')).code, 0)
      await assertEachHas(keptCid!, kept)
    })
  })

  // The CIDs are those of Kubo's own tests, t0040-add-and-cat.sh.
  describe('files and directories', () => {
    it('get the CIDs that Kubo gives them', async () => {
      const hello = join(folder, 'hello.txt')
      const empty = join(folder, 'empty')
      await writeFile(hello, 'Hello Worlds!\n')
      await writeFile(empty, '')
      assert.deepEqual(await add(hello), ['added QmVr26fY1tKyspEJBniVhqxQeEjhF78XerGiqWAwraVLQH hello.txt'])
      assert.deepEqual(await add('-Q', empty), ['QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH'])
      assert.deepEqual(await add('-Q', '--raw-leaves', empty), [
        'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'
      ])
    })

    it('keep their nesting, and are readable by path on every peer', async () => {
      const top = join(folder, 'test_current_dir')
      await mkdir(join(top, 'hello'), { recursive: true })
      await writeFile(join(top, 'hey'), 'Hey\n')
      await writeFile(join(top, 'hello', 'world'), 'World\n')
      const lines = await add('-r', top)
      assert.equal(lines.at(-1), 'added QmZQWnfcqJ6hNkkPvrY9Q5X39GP3jUnUbAV4AbmbbR3Cb1 test_current_dir')
      const root = 'QmZQWnfcqJ6hNkkPvrY9Q5X39GP3jUnUbAV4AbmbbR3Cb1'
      await untilStatus(daemons, root, 'pinned')
      await assertEachHas(`${root}/hello/world`, Buffer.from('World\n'))
      const [wrapped] = await add('-r', '-Q', '-w', top)
      await untilStatus(daemons, wrapped!, 'pinned')
      await assertEachHas(`${wrapped}/test_current_dir/hey`, Buffer.from('Hey\n'))
    })
  })
})
