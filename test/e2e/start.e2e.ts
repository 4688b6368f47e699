/** The ways to start a cluster, with the commands that users type: a fixed peerset, bootstrap, restart, and what must not work. */

import assert from 'node:assert/strict'
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { bootstrapCluster, cleanUp, type Daemon, freePort, initPeers, secret, until } from './support/daemon.ts'

/** How many others each peer of `peers ls` sees. */
const seen = (text: string): number[] => [...text.matchAll(/Sees (\d+) other peers/g)].map((match) => Number(match[1]))

async function assertAllSeeAll(daemons: readonly Daemon[]): Promise<void> {
  for (const daemon of daemons) {
    await until(`${daemon.name} and all others see ${daemons.length - 1} others`, async () => {
      const { code, stdout } = await daemon.ctl('peers', 'ls')
      return (
        code === 0 &&
        seen(stdout).length === daemons.length &&
        seen(stdout).every((count) => count === daemons.length - 1)
      )
    })
  }
}

/** The same `init_peerset` for all, each with the address of the one before it. */
async function fixedPeerset(
  count: number,
  addressOf: (daemon: Daemon) => string = (daemon) => daemon.address
): Promise<readonly Daemon[]> {
  const daemons = await initPeers(count)
  const peerset = daemons.map(({ id }) => id)
  for (const [at, daemon] of daemons.entries()) {
    const file = join(daemon.folder, 'service.json')
    const config = JSON.parse(await readFile(file, 'utf8')) as { consensus: { raft: Record<string, unknown> } }
    config.consensus.raft.init_peerset = peerset
    config.consensus.raft.wait_for_leader_timeout = '20s'
    await writeFile(file, JSON.stringify(config, null, 2))
    await writeFile(join(daemon.folder, 'peerstore'), `${addressOf(daemons[(at + count - 1) % count]!)}\n`)
  }
  return daemons
}

describe('a fixed peerset', () => {
  let daemons: readonly Daemon[] = []
  after(() => cleanUp(daemons))

  it('makes three peers that all see two others', async () => {
    daemons = await fixedPeerset(3)
    for (const daemon of daemons) daemon.start()
    for (const daemon of daemons) await daemon.ready()
    await assertAllSeeAll(daemons)
  })

  it('is there again after all peers were stopped and started, with its pins', async () => {
    const cid = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
    await daemons[0]!.client.pin(cid, { name: 'kept' })
    for (const daemon of daemons) assert.equal(await daemon.stop(), 0)
    for (const daemon of daemons) daemon.start()
    for (const daemon of daemons) await daemon.ready()
    for (const daemon of daemons) {
      const { pin } = await daemon.client.allocation(cid)
      assert.equal(pin.name, 'kept')
    }
    await assertAllSeeAll(daemons)
  })

  it('lets one peer be stopped and started alone', async () => {
    const [first, second] = daemons as [Daemon, Daemon, Daemon]
    await second.stop()
    await first.client.pin('bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e', {})
    await second.start().ready()
    const { pin } = await second.client.allocation('bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e')
    assert.equal(pin.cid, 'bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e')
  })
})

describe('a fixed peerset of five peers, each with the address of one other', () => {
  let daemons: readonly Daemon[] = []
  after(() => cleanUp(daemons))

  it('finds the rest over the DHT', async () => {
    daemons = await fixedPeerset(5)
    for (const daemon of daemons) daemon.start()
    for (const daemon of daemons) await daemon.ready()
    await assertAllSeeAll(daemons)
  })
})

describe('a fixed peerset with names for addresses', () => {
  let daemons: readonly Daemon[] = []
  after(() => cleanUp(daemons))

  it('starts over /dns4/ addresses', async () => {
    daemons = await fixedPeerset(3, (daemon) => `/dns4/localhost/tcp/${daemon.swarmPort}/p2p/${daemon.id}`)
    for (const daemon of daemons) daemon.start()
    for (const daemon of daemons) await daemon.ready()
    await assertAllSeeAll(daemons)
    const lines = await readFile(join(daemons[0]!.folder, 'peerstore'), 'utf8')
    assert.match(lines, /^\/dns4\/localhost\//m, 'what the operator wrote is still there')
  })
})

describe('a minority of a fixed peerset', () => {
  let daemons: readonly Daemon[] = []
  after(() => cleanUp(daemons))

  it('fails with the names of those who are missing, and can be run again', async () => {
    daemons = await fixedPeerset(3)
    const [first, second, third] = daemons as [Daemon, Daemon, Daemon]
    first.start([], { CLUSTER_RAFT_WAITFORLEADERTIMEOUT: '3s' })
    assert.equal(await first.exited(), 1)
    assert.match(first.log, /1 of 3 voters reachable, 2 needed/)
    assert.ok(first.log.includes(second.id) && first.log.includes(third.id), first.log)
    assert.ok(!first.log.includes('READY **'))
    for (const daemon of daemons) daemon.start()
    for (const daemon of daemons) await daemon.ready()
  })
})

describe('bootstrap', () => {
  let daemons: readonly Daemon[] = []
  const strangers: Daemon[] = []
  after(() => cleanUp([...daemons, ...strangers]))

  it('grows a cluster from one peer to three', async () => {
    daemons = await bootstrapCluster(3)
    await assertAllSeeAll(daemons)
  })

  it('writes the addresses of the others to the peerstore file', async () => {
    const [first, , third] = daemons as [Daemon, Daemon, Daemon]
    await until('the third peer has written the address of the first', async () =>
      (await readFile(join(third.folder, 'peerstore'), 'utf8')).includes(first.address)
    )
  })

  it('is there again after a plain restart of all', async () => {
    for (const daemon of daemons) assert.equal(await daemon.stop(), 0)
    for (const daemon of daemons) daemon.start()
    for (const daemon of daemons) await daemon.ready()
    await assertAllSeeAll(daemons)
  })

  it('is a no-op on a member', async () => {
    const [first, second] = daemons as [Daemon, Daemon, Daemon]
    await second.stop()
    await second.start(['--bootstrap', first.address]).ready()
    assert.match(second.log, /is a member already/)
    assert.ok(!(await readdir(second.folder)).some((name) => name.startsWith('raft.old')))
  })

  it('touches nothing when the target cannot be reached', async () => {
    const third = daemons[2]!
    await third.stop()
    const before = await readdir(third.folder)
    const port = await freePort()
    third.start(['--bootstrap', `/ip4/127.0.0.1/tcp/${port}/p2p/${daemons[0]!.id}`])
    // The address is wrong and the peerstore is right: the peer is reached all the same. A stranger's ID is not.
    await third.stop()
    const [stranger] = await initPeers(1)
    strangers.push(stranger!)
    third.start(['--bootstrap', stranger!.address])
    assert.equal(await third.exited(), 1)
    assert.match(third.log, /cannot join a cluster; nothing on this peer was changed/)
    assert.deepEqual((await readdir(third.folder)).sort(), before.sort())
    await third.start().ready()
  })

  it('names a different secret on both sides', async () => {
    const [stranger] = await initPeers(1, { env: { CLUSTER_SECRET: secret() } })
    strangers.push(stranger!)
    const first = daemons[0]!
    stranger!.start(['--bootstrap', first.address])
    assert.equal(await stranger!.exited(), 1)
    assert.match(stranger!.log, /its cluster\.secret differs from ours/)
    await until('the first peer says so too', () => first.log.includes('its cluster.secret differs from ours'))
  })

  it('keeps a second daemon out of a folder', async () => {
    const first = daemons[0]!
    const { spawnSync } = await import('node:child_process')
    const [program, ...words] = first.programs.service
    const { status, stderr } = spawnSync(program!, [...words, '--config', first.folder, 'daemon'], {
      encoding: 'utf8',
      timeout: 30_000
    })
    assert.equal(status, 1)
    assert.match(stderr, /cannot lock .*cluster\.lock/)
  })

  it('refuses a second daemon with the same identity', async () => {
    const [first, second] = daemons as [Daemon, Daemon, Daemon]
    const [twin] = await initPeers(1)
    strangers.push(twin!)
    // A copied folder that listens elsewhere.
    const config = JSON.parse(await readFile(join(twin!.folder, 'service.json'), 'utf8')) as {
      cluster: Record<string, unknown>
    }
    const original = JSON.parse(await readFile(join(second.folder, 'service.json'), 'utf8')) as {
      cluster: Record<string, unknown>
    }
    config.cluster.secret = original.cluster.secret
    await writeFile(join(twin!.folder, 'service.json'), JSON.stringify(config))
    await cp(join(second.folder, 'identity.json'), join(twin!.folder, 'identity.json'))
    twin!.start(['--bootstrap', first.address])
    assert.equal(await twin!.exited(), 1)
    assert.match(twin!.log, /another daemon runs with the identity of this peer/)
    await assertAllSeeAll(daemons)
  })
})

describe('a removed peer', () => {
  let daemons: readonly Daemon[] = []
  after(() => cleanUp(daemons))

  it('stops, and starts no cluster of its own', async () => {
    daemons = await bootstrapCluster(3)
    const [first, second, third] = daemons as [Daemon, Daemon, Daemon]
    const { code } = await first.ctl('peers', 'rm', third.id)
    assert.equal(code, 0)
    assert.equal(await third.exited(), 0)
    assert.match(third.log, /removed from the cluster/)
    await assertAllSeeAll([first, second])
    third.start()
    assert.equal(await third.exited(), 1)
    assert.match(third.log, /starts no cluster of its own/)
  })

  it('learns of a removal while it was away', async () => {
    const [first, second, third] = daemons as [Daemon, Daemon, Daemon]
    await third.start(['--bootstrap', first.address]).ready()
    await assertAllSeeAll(daemons)
    await third.stop('SIGKILL')
    assert.equal((await second.ctl('peers', 'rm', third.id)).code, 0)
    third.start()
    assert.equal(await third.exited(), 0)
    assert.match(third.log, /removed from the cluster/)
  })

  it('joins again with --bootstrap, and its old data is kept aside', async () => {
    const [first, , third] = daemons as [Daemon, Daemon, Daemon]
    await third.start(['--bootstrap', first.address]).ready()
    await assertAllSeeAll(daemons)
    assert.ok((await readdir(third.folder)).some((name) => name.startsWith('raft.old.')))
  })

  it('learns of it also while it waits for its state to be made anew', async () => {
    const [first, second, third] = daemons as [Daemon, Daemon, Daemon]
    await third.stop()
    await rm(join(third.folder, 'state'), { recursive: true })
    assert.equal((await second.ctl('peers', 'rm', third.id)).code, 0)
    third.start()
    assert.equal(await third.exited(), 0)
    assert.match(third.log, /no longer a member of the cluster/)
    await third.start(['--bootstrap', first.address]).ready()
    await assertAllSeeAll(daemons)
  })

  it('learns of it also when nothing but its name is left of what it knew', async () => {
    const [first, second, third] = daemons as [Daemon, Daemon, Daemon]
    await third.stop()
    for (const file of ['raft/hard-state', 'membership.json']) await writeFile(join(third.folder, file), 'nonsense')
    assert.equal((await second.ctl('peers', 'rm', third.id)).code, 0)
    third.start()
    assert.equal(await third.exited(), 0)
    assert.match(third.log, /no longer a member of the cluster/)
    third.start()
    assert.equal(await third.exited(), 1)
    assert.match(third.log, /starts no cluster of its own/)
    await third.start(['--bootstrap', first.address]).ready()
    await assertAllSeeAll(daemons)
  })

  it('that was emptied meanwhile stays out all the same', async () => {
    const [first, second, third] = daemons as [Daemon, Daemon, Daemon]
    await third.stop()
    await rm(join(third.folder, 'raft'), { recursive: true })
    assert.equal((await first.ctl('peers', 'rm', third.id)).code, 0)
    third.start()
    assert.equal(await third.exited(), 0)
    assert.match(third.log, /no longer a member of the cluster/)
    await third.start(['--bootstrap', second.address]).ready()
    await assertAllSeeAll(daemons)
  })
})
