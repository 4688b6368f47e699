/**
 * A peer whose state is not what the log makes of it, as after a fault of memory or disk: the others find it, it ends and says why, and
 * its next start makes the state anew (T43, T45).
 */

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { ByteReader, ByteWriter } from '../../packages/service/src/state/byte-codec.ts'
import { levelKey, openLevelStore, readKey } from '../../packages/service/src/state/level-store.ts'
import { pinKey } from '../../packages/service/src/state/pin-batch.ts'
import { cidToBytes } from '../../packages/service/src/state/pin-codec.ts'
import { allocationsOf } from './support/content.ts'
import { bootstrapCluster, cleanUp, type Daemon, until } from './support/daemon.ts'
import { PinLoad } from './support/pin-load.ts'

/** Comes past an index at which states are compared, wherever the log stands. */
const PINS = 1100

describe('a peer whose state is wrong', () => {
  let daemons: readonly Daemon[] = []
  const load = new PinLoad()
  before(async () => {
    daemons = await bootstrapCluster(3)
  })
  after(() => cleanUp(daemons))

  it('ends, and comes back with the right one', async () => {
    const [, , victim] = daemons as [Daemon, Daemon, Daemon]
    await load.send(daemons, 50)
    await victim.stop()
    const [lost = ''] = load.acknowledged
    await breakState(victim, lost)
    victim.start()
    await victim.ready()
    assert.equal((await allocationsOf(victim)).has(lost), false)

    const ended = victim.exited()
    await load.send(daemons.slice(0, 2), PINS)
    assert.notEqual(await ended, 0)
    assert.match(victim.log, /the state of this node is not [0-9a-f]{8}.*the state is put away/)
    assert.ok(daemons[0]!.log.includes('state-diverged') || daemons[1]!.log.includes('state-diverged'))

    victim.start()
    await victim.ready()
    await until('it has every pin, and no other', async () => {
      const [mine, theirs] = await Promise.all([allocationsOf(victim), allocationsOf(daemons[0]!)])
      assert.deepEqual(mine, theirs)
      return true
    })
    assert.equal((await allocationsOf(victim)).size, load.acknowledged.size)
  })
})

/** Takes a pin away, and changes the digest: what a command that was applied otherwise would have left. */
async function breakState(daemon: Daemon, lost: string): Promise<void> {
  const folder = join(daemon.folder, 'state')
  const current = (await readFile(join(folder, 'current'), 'utf8')).trim()
  const store = await openLevelStore(join(folder, current))
  await store.delete(levelKey(pinKey(cidToBytes(lost))))
  const books = new ByteReader((await readKey(store, '/m/books'))!)
  const [version, appliedIndex, pinCount, digest] = [books.varint(), books.varint(), books.varint(), books.varint()]
  assert.ok(digest > 0, 'the state has no digest')
  const writer = new ByteWriter()
  for (const number of [version, appliedIndex, pinCount - 1, digest - 1]) writer.varint(number)
  await store.put(levelKey('/m/books'), writer.finish())
  await store.close()
}
