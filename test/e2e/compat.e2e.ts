/** A folder of IPFS Cluster as it is, an IPFS node that is not there, configuration with mistakes in it, and SIGTERM under load. */

import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { absentCid, allocationsOf, localStatus } from './support/content.ts'
import { bootstrapCluster, cleanUp, type Daemon, until } from './support/daemon.ts'
import { ipfsClusterFolder, type Sections } from './support/ipfs-cluster-folder.ts'
import { PinLoad } from './support/pin-load.ts'

describe('a folder of IPFS Cluster in raft mode whose Kubo daemon is not there', () => {
  const daemons: Daemon[] = []
  after(() => cleanUp(daemons))
  let kuboAddress: string
  const cid = absentCid()

  it('makes a peer that is READY, with its name and identity', async () => {
    const made = await ipfsClusterFolder()
    kuboAddress = made.kuboAddress
    daemons.push(made.daemon)
    const { daemon } = made
    await daemon.start().ready()
    const { id, peername } = await daemon.client.id()
    assert.deepEqual({ id, peername }, { id: daemon.id, peername: 'old-peer' })
  })

  it('is told by id and status why there is no IPFS', async () => {
    const [daemon] = daemons as [Daemon]
    const { ipfs } = await daemon.client.id()
    assert.match(ipfs.error, /ECONNREFUSED|cannot be reached/)
    const { code } = await daemon.ctl('pin', 'add', '--name', 'kept', cid)
    assert.equal(code, 0)
    await until('the status says why', async () => {
      const { status, error } = await localStatus(daemon, cid)
      assert.equal(status, 'pin_queued')
      return /waits for the IPFS node, which cannot be reached: .*\S/.test(error) && error.includes(kuboAddress)
    })
    const { stdout } = await daemon.ctl('status', cid)
    assert.match(stdout, /> old-peer\s+: PIN_QUEUED: waits for the IPFS node, which cannot be reached/)
  })

  it('keeps its pins over a restart, and its files as they were', async () => {
    const [daemon] = daemons as [Daemon]
    const files = ['service.json', 'identity.json'].map((name) => join(daemon.folder, name))
    const before = await Promise.all(files.map((file) => readFile(file, 'utf8')))
    assert.equal(await daemon.stop(), 0)
    await daemon.start().ready()
    assert.deepEqual(await allocationsOf(daemon), new Set([cid]))
    assert.equal((await daemon.ctl('pin', 'rm', cid)).code, 0)
    assert.deepEqual(await allocationsOf(daemon), new Set())
    assert.equal(await daemon.stop(), 0)
    assert.deepEqual(await Promise.all(files.map((file) => readFile(file, 'utf8'))), before)
  })

  it('with the log of IPFS Cluster in it is refused, with the way to take the pins over', async () => {
    const [daemon] = daemons as [Daemon]
    const { daemon: other } = await ipfsClusterFolder()
    daemons.push(other)
    await mkdir(join(other.folder, 'raft'))
    await writeFile(join(other.folder, 'raft', 'raft.db'), 'a log of another kind')
    other.start()
    assert.equal(await other.exited(), 1)
    assert.match(other.log, /raft\.db/)
    assert.match(other.log, /ipfs-cluster-service state export/)
    assert.equal(await readFile(join(other.folder, 'raft', 'raft.db'), 'utf8'), 'a log of another kind')
    assert.notEqual(other.id, daemon.id)
  })
})

describe('a mistake in the configuration', () => {
  const daemons: Daemon[] = []
  after(() => cleanUp(daemons))

  async function start(change: (document: Sections) => void, env: NodeJS.ProcessEnv = {}): Promise<Daemon> {
    const { daemon } = await ipfsClusterFolder(change)
    daemons.push(daemon)
    return daemon.start([], env)
  }

  it('is named with key, value and what is allowed, all mistakes at once', async () => {
    const daemon = await start((document) => {
      document.consensus!.raft!.heartbeat_timeout = 'soon'
      document.pin_tracker!.stateless!.concurrent_pins = 0
    })
    assert.equal(await daemon.exited(), 1)
    assert.match(daemon.log, /consensus\.raft\.heartbeat_timeout: "soon" is not allowed; it must be a duration such as/)
    assert.match(daemon.log, /pin_tracker\.stateless\.concurrent_pins: 0 is not allowed; it must be /)
  })

  it('in the environment is named with its variable', async () => {
    const daemon = await start(() => undefined, { CLUSTER_RAFT_ELECTIONTIMEOUT: 'never' })
    assert.equal(await daemon.exited(), 1)
    assert.match(daemon.log, /consensus\.raft\.election_timeout.*CLUSTER_RAFT_ELECTIONTIMEOUT.*"never" is not allowed/)
  })

  it('in the name of a key is a warning with the key that was meant', async () => {
    const daemon = await start((document) => {
      document.ipfs_connector!.ipfshttp!.pin_timout = '1m'
    })
    await daemon.ready()
    assert.match(
      daemon.log,
      /ipfs_connector\.ipfshttp\.pin_timout is not a key that Quorate knows.*did you mean pin_timeout/
    )
  })
})

describe('SIGTERM under load', () => {
  let daemons: readonly Daemon[] = []
  after(() => cleanUp(daemons))

  it('ends each peer with exit code 0, and loses nothing acknowledged', async (t) => {
    daemons = await bootstrapCluster(3)
    const load = new PinLoad()
    for (const daemon of daemons) {
      const sent = load.send(daemons, 500)
      await load.acknowledgedMore(100)
      assert.ok(load.pendingCount > 0, 'the signal came too late to hit anything')
      const startMs = performance.now()
      // `stop` gives up after some seconds.
      assert.equal(await daemon.stop('SIGTERM'), 0, daemon.log)
      t.diagnostic(`${daemon.name} stopped after ${((performance.now() - startMs) / 1000).toFixed(1)} s`)
      await sent
      await daemon.start().ready()
    }
    const sent = load.send(daemons, 500)
    await load.acknowledgedMore(100)
    assert.deepEqual(await Promise.all(daemons.map((daemon) => daemon.stop('SIGTERM'))), [0, 0, 0])
    await sent
    for (const daemon of daemons) daemon.start()
    for (const daemon of daemons) await daemon.ready()
    for (const daemon of daemons) {
      await until(`${daemon.name} has every acknowledged pin`, async () => {
        const found = await allocationsOf(daemon)
        return [...load.acknowledged].every((cid) => found.has(cid))
      })
    }
  })
})
