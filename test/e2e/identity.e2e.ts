/**
 * Peers that are not who they were: a voter whose data is gone, one whose disk was put back to an older copy, and a cluster whose
 * majority is lost. With the programs that users run, and nobody at hand but where a test says so.
 */

import assert from 'node:assert/strict'
import { access, cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { absentCid, allocationsOf } from './support/content.ts'
import { bootstrapCluster, cleanUp, type Daemon, initPeers, run, until } from './support/daemon.ts'
import { PinLoad } from './support/pin-load.ts'

const READY_MS = 60_000

/** Three peers by `init_peerset`: their names in the configuration are their peer IDs alone. */
async function foundingCluster(): Promise<readonly Daemon[]> {
  const daemons = await initPeers(3)
  for (const daemon of daemons) {
    const file = join(daemon.folder, 'service.json')
    const config = JSON.parse(await readFile(file, 'utf8')) as { consensus: { raft: Record<string, unknown> } }
    config.consensus.raft.init_peerset = daemons.map(({ id }) => id)
    await writeFile(file, JSON.stringify(config, null, 2))
    const others = daemons.filter((other) => other !== daemon).map(({ address }) => address)
    await writeFile(join(daemon.folder, 'peerstore'), `${others.join('\n')}\n`)
  }
  for (const daemon of daemons) daemon.start()
  for (const daemon of daemons) await daemon.ready()
  return daemons
}

/** The name under which a peer's data stands in the configuration. */
async function nameOf(daemon: Daemon): Promise<string> {
  const text = await readFile(join(daemon.folder, 'raft', 'group.json'), 'utf8')
  const { content } = JSON.parse(text) as { content: { name?: string } }
  return content.name ?? daemon.id
}

/** Waits until all vote, and each has every pin that was acknowledged, and none that nobody asked for. */
async function assertWhole(daemons: readonly Daemon[], load: PinLoad): Promise<void> {
  for (const daemon of daemons) {
    await until(`${daemon.name} sees all vote`, async () => {
      const { stdout } = await daemon.ctl('peers', 'ls')
      return (
        [...stdout.matchAll(/Sees (\d+) other peers/g)].filter(([, count]) => Number(count) === daemons.length - 1)
          .length === daemons.length
      )
    })
    const held = await until(`${daemon.name} has what was acknowledged`, async () => {
      const cids = await allocationsOf(daemon)
      return [...load.acknowledged].every((cid) => cids.has(cid)) && cids
    })
    for (const cid of held) assert.ok(load.asked.has(cid), `${daemon.name} has ${cid}, which nobody asked for`)
  }
}

const hasBackup = async (daemon: Daemon): Promise<boolean> =>
  (await readdir(daemon.folder)).some((name) => name.startsWith('raft.old.'))

for (const [how, make] of [
  ['of a fixed peerset', foundingCluster],
  ['that joined', () => bootstrapCluster(3)]
] as const) {
  describe(`a voter ${how} whose data is gone`, () => {
    let daemons: readonly Daemon[] = []
    after(() => cleanUp(daemons))

    it('comes back as a voter by itself under load, and nothing that was acknowledged is lost', async () => {
      daemons = await make()
      const [first, second, third] = daemons as [Daemon, Daemon, Daemon]
      const load = new PinLoad()
      await load.send(daemons, 60)
      const before = await nameOf(third)
      await third.stop('SIGKILL')
      await rm(join(third.folder, 'raft'), { recursive: true })
      const sending = load.send([first, second], 200)
      await third.start().ready(READY_MS)
      await sending
      assert.notEqual(await nameOf(third), before)
      assert.match(third.log, /does not vote as the one that it was/)
      await assertWhole(daemons, load)
      // It counts: with it, another may be missing.
      await first.stop('SIGKILL')
      await load.send([third], 10)
      assert.ok(load.acknowledged.size > 200)
      await first.start().ready()
      await assertWhole(daemons, load)
    })

    it('does the same with nothing left but its identity, its configuration and its peerstore', async () => {
      const [first, , third] = daemons as [Daemon, Daemon, Daemon]
      const load = new PinLoad()
      for (const cid of await allocationsOf(first)) load.asked.add(cid)
      await third.stop('SIGKILL')
      for (const name of await readdir(third.folder)) {
        if (!['identity.json', 'service.json', 'peerstore'].includes(name)) {
          await rm(join(third.folder, name), { recursive: true })
        }
      }
      await third.start().ready(READY_MS)
      assert.match(third.log, /takes part in cluster/)
      await load.send(daemons, 30)
      await assertWhole(daemons, load)
    })
  })
}

describe('a voter whose disk was put back to an older copy', () => {
  let daemons: readonly Daemon[] = []
  after(() => cleanUp(daemons))

  it('is known by it, votes no more as who it was, and comes back by itself', async () => {
    daemons = await bootstrapCluster(3)
    const [first, , third] = daemons as [Daemon, Daemon, Daemon]
    const load = new PinLoad()
    await load.send(daemons, 30)
    await third.stop()
    const copy = `${third.folder}.copy`
    await cp(third.folder, copy, { recursive: true })
    try {
      await third.start().ready()
      await load.send(daemons, 60)
      const before = await nameOf(third)
      await third.stop('SIGKILL')
      await rm(third.folder, { recursive: true })
      await rename(copy, third.folder)
      await third.start()
      await until('it learned that it is an older copy', () =>
        third.log.includes('the data of this peer is not what it promised')
      )
      await third.ready(READY_MS)
      assert.notEqual(await nameOf(third), before)
      assert.match(first.log, /older copy/)
      assert.ok(await hasBackup(third), 'what was put back is kept aside')
      await load.send([third], 10)
      await assertWhole(daemons, load)
    } finally {
      await rm(copy, { recursive: true, force: true })
    }
  })

  it('is known also when all of the others were restarted since', async () => {
    const [, , third] = daemons as [Daemon, Daemon, Daemon]
    const load = new PinLoad()
    for (const cid of await allocationsOf(third)) load.asked.add(cid)
    await third.stop()
    const copy = `${third.folder}.copy`
    await cp(third.folder, copy, { recursive: true })
    try {
      await third.start().ready()
      await load.send(daemons, 30)
      const before = await nameOf(third)
      for (const daemon of daemons) assert.equal(await daemon.stop(), 0)
      await rm(third.folder, { recursive: true })
      await rename(copy, third.folder)
      for (const daemon of daemons) daemon.start()
      for (const daemon of daemons) await daemon.ready(READY_MS)
      await until('it has another name', async () => (await nameOf(third)) !== before)
      await third.ready(READY_MS)
      await assertWhole(daemons, load)
    } finally {
      await rm(copy, { recursive: true, force: true })
    }
  })
})

describe('a cluster that lost its majority', () => {
  let daemons: readonly Daemon[] = []
  after(() => cleanUp(daemons))
  const load = new PinLoad()

  const recover = (daemon: Daemon, args: readonly string[], input = '') =>
    run(daemon.programs.service, ['--config', daemon.folder, 'recover', ...args], { input })

  it('tells what a peer holds, and changes nothing', async () => {
    daemons = await bootstrapCluster(3)
    const [first, second, third] = daemons as [Daemon, Daemon, Daemon]
    await load.send(daemons, 60)
    await Promise.all([second.stop('SIGKILL'), third.stop('SIGKILL'), first.stop()])
    const before = (await readdir(first.folder, { recursive: true })).sort()
    const { code, stdout } = await recover(first, ['--dry-run'])
    assert.equal(code, 0)
    assert.match(stdout, /Log ends at: +term \d+, entry \d+/)
    assert.match(stdout, /Pins: +60/)
    assert.deepEqual((await readdir(first.folder, { recursive: true })).sort(), before)
    const declined = await recover(first, ['--peers', `${first.id},${second.id},${third.id}`], 'n\n')
    assert.equal(declined.code, 0)
    assert.match(declined.stdout, /What other peers hold beyond that is lost/)
    assert.deepEqual((await readdir(first.folder, { recursive: true })).sort(), before)
  })

  it('refuses a recovery without the peer itself, with a stranger, and one without data', async () => {
    const [first, second] = daemons as [Daemon, Daemon, Daemon]
    const { code, stderr } = await recover(first, ['--peers', second.id, '--yes'])
    assert.equal(code, 1)
    assert.match(stderr, /name the peers that are left with --peers, this one among them/)
    const nonsense = await recover(first, ['--peers', `${first.id},nonsense`, '--yes'])
    assert.equal(nonsense.code, 1)
    assert.match(nonsense.stderr, /Cannot recover a cluster with "nonsense": it is no peer ID/)
    const stranger = '12D3KooWEZXjE41uU4EL2gpkAQeDXYok6wghN7wwNVPF5bwkaNfS'
    const strange = await recover(first, ['--peers', `${first.id},${stranger}`, '--yes'])
    assert.equal(strange.code, 1)
    assert.ok(strange.stderr.includes(`Cannot recover a cluster with ${stranger}: its members are`))
    assert.equal((await recover(first, [])).code, 1)
  })

  it('is there again from one peer, with all pins', async () => {
    const [first, second, third] = daemons as [Daemon, Daemon, Daemon]
    const { code, stdout } = await recover(first, ['--peers', `${first.id},${second.id},${third.id}`, '--yes'])
    assert.equal(code, 0)
    assert.match(stdout, /quorate-service daemon --bootstrap/)
    assert.ok(await hasBackup(first))
    // Typed again, as by somebody who saw no answer: the others are known still.
    const again = await recover(first, ['--peers', `${first.id},${second.id},${third.id}`, '--yes'])
    assert.equal(again.code, 0)
    await first.start().ready()
    await until('it says who is missing', () => first.log.includes('these peers have not come back'))
    assert.equal((await allocationsOf(first)).size, 60)
    await load.send([first], 10)
    await assertWhole([first], load)
  })

  it('does not listen to a peer of the old cluster, and lets it in when it asks', async () => {
    const [first, second, third] = daemons as [Daemon, Daemon, Daemon]
    second.start()
    await until('the old member was told', () => second.log.includes('it belongs to the cluster'))
    assert.equal((await allocationsOf(first)).size, load.asked.size)
    const { code, stdout } = await first.ctl('peers', 'ls')
    assert.equal(code, 0)
    assert.ok(!stdout.includes(second.id))
    await second.stop()
    await second.start(['--bootstrap', first.address]).ready()
    await third.start(['--bootstrap', first.address]).ready()
    await assertWhole(daemons, load)
    assert.ok((await hasBackup(second)) && (await hasBackup(third)))
    await access(join(second.folder, 'raft.old.0', 'group.json'))
    await first.stop()
    await load.send([second, third], 10)
    await first.start().ready()
    await assertWhole(daemons, load)
  })

  it('finishes a recovery that a crash cut short, and is no daemon before', async () => {
    const [alone] = await initPeers(1)
    daemons = [...daemons, alone!]
    await alone!.start().ready()
    await alone!.client.pin(absentCid(), {})
    await alone!.stop()
    assert.equal((await recover(alone!, ['--peers', alone!.id, '--yes'])).code, 0)
    // As after a crash that left the new log beside its place.
    await mkdir(join(alone!.folder, 'recovery'))
    await rename(join(alone!.folder, 'raft'), join(alone!.folder, 'recovery', 'raft'))
    alone!.start()
    assert.equal(await alone!.exited(), 1)
    assert.match(alone!.log, /a recovery of the cluster was cut short here/)
    const { code, stdout } = await recover(alone!, ['--peers', alone!.id])
    assert.equal(code, 0)
    assert.match(stdout, /is finished now/)
    await alone!.start().ready()
    assert.equal((await allocationsOf(alone!)).size, 1)
  })
})
