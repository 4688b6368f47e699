/** kill -9 at the worst moments: nothing that was acknowledged is lost, and nothing is there that nobody asked for. */

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { allocationsOf, folderBytes, localStatus, readContent, untilStatus, whileFrozen } from './support/content.ts'
import { bootstrapCluster, cleanUp, type Daemon, until } from './support/daemon.ts'
import { PinLoad } from './support/pin-load.ts'

const PINS = 500
/** The kill comes after so many answers, so that the others are at every stage of their way. */
const ANSWERS_BEFORE_KILL = 100
const MIB = 1024 * 1024

describe('kill -9', () => {
  let daemons: readonly Daemon[] = []
  let folder: string
  const load = new PinLoad()
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'quorate-e2e-kill-'))
    daemons = await bootstrapCluster(3)
  })
  after(async () => {
    await cleanUp(daemons)
    await rm(folder, { recursive: true, force: true })
  })

  /** Sends pins, and kills some peers while they are under way. */
  async function killDuringPins(victims: readonly Daemon[]): Promise<void> {
    const sent = load.send(daemons, PINS)
    await load.acknowledgedMore(ANSWERS_BEFORE_KILL)
    assert.ok(load.pendingCount > 0, 'the kill came too late to hit anything')
    await Promise.all(victims.map((victim) => victim.stop('SIGKILL')))
    await sent
  }

  async function restart(victims: readonly Daemon[]): Promise<void> {
    for (const victim of victims) victim.start()
    for (const victim of victims) await victim.ready()
  }

  /** Each peer is asked for what it has itself. */
  async function assertNothingLost(): Promise<void> {
    for (const daemon of daemons) {
      const found = await until(`${daemon.name} has every acknowledged pin`, async () => {
        const cids = await allocationsOf(daemon)
        const missing = [...load.acknowledged].filter((cid) => !cids.has(cid))
        if (missing.length === 0) return cids
        throw new Error(`${missing.length} of ${load.acknowledged.size} are missing, as ${missing[0]}`)
      })
      const strange = [...found].filter((cid) => !load.asked.has(cid))
      assert.deepEqual(strange, [], `${daemon.name} has pins that nobody asked for`)
    }
  }

  it('of each peer in turn during 500 concurrent pins loses no acknowledged pin', async (t) => {
    for (const victim of daemons) {
      await killDuringPins([victim])
      await restart([victim])
    }
    t.diagnostic(`${load.acknowledged.size} of ${load.asked.size} pins were acknowledged`)
    // At most the requests to the peer that is killed can fail: the others find the new leader by themselves.
    assert.ok(load.acknowledged.size >= 2 * PINS, `only ${load.acknowledged.size} were acknowledged`)
    await assertNothingLost()
  })

  it('of all peers at once during 500 concurrent pins loses no acknowledged pin', async () => {
    const before = load.acknowledged.size
    await killDuringPins(daemons)
    assert.ok(load.acknowledged.size - before >= ANSWERS_BEFORE_KILL)
    await restart(daemons)
    await assertNothingLost()
    const [first, ...others] = await Promise.all(daemons.map(allocationsOf))
    for (const other of others) assert.deepEqual(other, first)
  })

  it('while content is being pinned does not keep it from being pinned', async () => {
    const content = randomBytes(30 * MIB)
    const file = join(folder, 'content')
    await writeFile(file, content)
    const { code, stdout, stderr } = await daemons[0]!.ctl('add', '-Q', file)
    assert.equal(code, 0, stderr)
    const cid = stdout.trim()
    load.asked.add(cid)
    load.acknowledged.add(cid)
    const states = await Promise.all(daemons.map((daemon) => localStatus(daemon, cid)))
    assert.ok(
      states.some(({ status }) => status !== 'pinned'),
      'the kill came too late to hit anything'
    )
    await Promise.all(daemons.map((daemon) => daemon.stop('SIGKILL')))
    await restart(daemons)
    await untilStatus(daemons, cid, 'pinned')
    for (const daemon of daemons) {
      const others = daemons.filter((other) => other !== daemon)
      const found = await whileFrozen(others, () => readContent(daemon, cid))
      assert.ok(found.equals(content), `${daemon.name} has other bytes`)
    }
  })

  it('right after an unpin was acknowledged does not bring the pin back', async () => {
    const cid = [...load.acknowledged].at(-1)!
    await daemons[1]!.client.unpin(cid)
    await Promise.all(daemons.map((daemon) => daemon.stop('SIGKILL')))
    load.acknowledged.delete(cid)
    load.asked.delete(cid)
    await restart(daemons)
    await assertNothingLost()
    await untilStatus(daemons, cid, 'unpinned')
    assert.equal((await daemons[0]!.ctl('ipfs', 'gc')).code, 0)
    for (const daemon of daemons) {
      const bytes = await folderBytes(join(daemon.folder, 'ipfs'))
      assert.ok(bytes < 10 * MIB, `${daemon.name} still holds ${bytes} bytes`)
    }
  })
})
