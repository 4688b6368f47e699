import assert from 'node:assert/strict'
import { chmod, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { decodeCheckedJson, encodeCheckedJson } from '@quorate/raft'
import {
  clusterIdOfPeerset,
  mendGroup,
  newGroup,
  randomClusterId,
  readGroup,
  readMembership,
  seedOf,
  writeGroup,
  writeMembership
} from '../../src/daemon/group-file.ts'
import { temporaryFolder } from '../config/temporary-folder.ts'

describe('the files about a cluster', () => {
  it('are absent at first, come back as they were written, and are private', async (context: TestContext) => {
    const folder = await temporaryFolder(context)
    const raft = join(folder, 'raft')
    assert.equal(await readGroup(raft), undefined)
    assert.equal(await readMembership(folder), undefined)
    const group = newGroup(randomClusterId(), 'me')
    await writeGroup(raft, group)
    await writeMembership(folder, { clusterId: group.clusterId, state: 'member' })
    await writeMembership(folder, { clusterId: group.clusterId, state: 'removed' })
    assert.deepEqual(await readGroup(raft), group)
    assert.deepEqual(await readMembership(folder), { clusterId: group.clusterId, state: 'removed' })
    assert.equal((await stat(join(raft, 'group.json'))).mode & 0o777, 0o600)
    assert.deepEqual((await readdir(folder)).sort(), ['membership.json', 'raft'])
  })

  const files = ['group.json', 'group-copy.json'] as const

  it('come back from their copy when a byte is spoilt anywhere, or the file is gone', async (context: TestContext) => {
    const raft = await temporaryFolder(context)
    const group = newGroup('c', 'me')
    await writeGroup(raft, group)
    const sound = await readFile(join(raft, 'group.json'))
    assert.deepEqual(await readFile(join(raft, 'group-copy.json')), sound)
    for (const name of files) {
      for (let at = 0; at < sound.length; at++) {
        const bytes = Buffer.from(sound)
        bytes[at]! ^= 1
        await writeFile(join(raft, name), bytes)
        assert.deepEqual(await readGroup(raft), group, `byte ${at} of ${name}`)
      }
      await rm(join(raft, name))
      assert.deepEqual(await readGroup(raft), group)
      await writeFile(join(raft, name), sound)
    }
  })

  it('are whole again after they were mended', async (context: TestContext) => {
    const raft = await temporaryFolder(context)
    const group = newGroup('c', 'me')
    for (const [spoilt, sound] of [files, files.toReversed()] as [string, string][]) {
      await writeGroup(raft, group)
      await writeFile(join(raft, spoilt), 'nonsense')
      assert.deepEqual(await mendGroup(raft), group)
      await rm(join(raft, sound))
      assert.deepEqual(await readGroup(raft), group)
    }
  })

  it('of the first versions have no checksum, and get one with the copy', async (context: TestContext) => {
    const folder = await temporaryFolder(context)
    const group = newGroup('c', 'me')
    const member = { clusterId: 'c', state: 'member' } as const
    await writeFile(join(folder, 'group.json'), `${JSON.stringify(group, null, 2)}\n`)
    await writeFile(join(folder, 'membership.json'), `${JSON.stringify(member, null, 2)}\n`)
    assert.deepEqual(await readMembership(folder), member)
    assert.deepEqual(await mendGroup(folder), group)
    assert.deepEqual(decodeCheckedJson(await readFile(join(folder, 'group.json'))), group)
    assert.deepEqual(decodeCheckedJson(await readFile(join(folder, 'group-copy.json'))), group)
  })

  it('count before their copy, as after a crash between the two', async (context: TestContext) => {
    const raft = await temporaryFolder(context)
    const group = newGroup('c', 'me')
    await writeGroup(raft, group)
    const older = await readFile(join(raft, 'group-copy.json'))
    await writeGroup(raft, { ...group, quarantined: 'it is old' })
    await writeFile(join(raft, 'group-copy.json'), older)
    assert.equal((await mendGroup(raft))?.quarantined, 'it is old')
    await rm(join(raft, 'group.json'))
    assert.equal((await readGroup(raft))?.quarantined, 'it is old')
  })

  it('that are damaged with their copy are an error that names the file, never taken for absent', async (context: TestContext) => {
    const folder = await temporaryFolder(context)
    const raft = join(folder, 'raft')
    await mkdir(raft, { recursive: true })
    const contents = [
      null,
      [],
      {},
      { clusterId: 'c' },
      { clusterId: '', incarnation: 'x' },
      { clusterId: 'c', state: 'chief' }
    ]
    for (const bytes of [Buffer.from(''), Buffer.from('{'), ...contents.map(encodeCheckedJson)]) {
      await writeFile(join(raft, 'group.json'), bytes)
      await writeFile(join(folder, 'membership.json'), bytes)
      for (const isCopied of [false, true]) {
        if (isCopied) await writeFile(join(raft, 'group-copy.json'), bytes)
        await assert.rejects(readGroup(raft), { name: 'StartError', message: /^Cannot use .*group\.json/ })
        await assert.rejects(mendGroup(raft), { name: 'StartError', message: /^Cannot use .*group\.json/ })
        await assert.rejects(readMembership(folder), { name: 'StartError', message: /^Cannot use .*membership\.json/ })
      }
      await rm(join(raft, 'group-copy.json'))
    }
  })

  it('that cannot be read are an error too', async (context: TestContext) => {
    const folder = await temporaryFolder(context)
    await mkdir(join(folder, 'membership.json'), { recursive: true })
    await chmod(folder, 0o700)
    await assert.rejects(readMembership(folder), { name: 'StartError', message: /^Cannot read / })
  })
})

describe('the name of a cluster', () => {
  it('of a fixed peerset is the same at all its peers, whatever their order', () => {
    assert.equal(clusterIdOfPeerset(['a', 'b']), clusterIdOfPeerset(['b', 'a']))
    assert.notEqual(clusterIdOfPeerset(['a', 'b']), clusterIdOfPeerset(['a', 'b', 'c']))
    assert.notEqual(clusterIdOfPeerset(['ab', 'c']), clusterIdOfPeerset(['a', 'bc']))
    assert.match(clusterIdOfPeerset(['a']), /^[0-9a-f]{32}$/)
  })

  it('goes into the seed of the checksums with the life of the folder', () => {
    const [first, second] = [newGroup('c', 'me'), newGroup('c', 'me')]
    assert.notDeepEqual(seedOf(first), seedOf(second))
    assert.deepEqual(seedOf(first), seedOf({ ...first }))
  })
})
