import assert from 'node:assert/strict'
import { chmod, mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import {
  clusterIdOfPeerset,
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

  it('that somebody changed are an error that names the file, never taken for absent', async (context: TestContext) => {
    const folder = await temporaryFolder(context)
    const raft = join(folder, 'raft')
    await mkdir(raft, { recursive: true })
    for (const text of [
      '',
      '{',
      'null',
      '[]',
      '{"clusterId":"c"}',
      '{"clusterId":"","incarnation":"x"}',
      '{"clusterId":"c","state":"chief"}'
    ]) {
      await writeFile(join(raft, 'group.json'), text)
      await writeFile(join(folder, 'membership.json'), text)
      await assert.rejects(readGroup(raft), { name: 'StartError', message: /^Cannot use .*group\.json/ })
      await assert.rejects(readMembership(folder), { name: 'StartError', message: /^Cannot use .*membership\.json/ })
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
