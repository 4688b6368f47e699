/** What operators see of a peer that runs: its metrics, and the flight record that it leaves when asked. */

import assert from 'node:assert/strict'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { bootstrapCluster, cleanUp, type Daemon, run, until } from './support/daemon.ts'

const replay = fileURLToPath(new URL('../../packages/raft/test/simulation/replay.ts', import.meta.url))

let daemons: readonly Daemon[] = []

describe('a peer that is observed', () => {
  before(async () => {
    daemons = await bootstrapCluster(3)
  })
  after(() => cleanUp(daemons))

  it('serves its metrics when it is told to, and no longer once it is stopped', async () => {
    const peer = daemons[1]!
    await peer.stop()
    await peer.start(['--stats'], { CLUSTER_METRICS_PROMETHEUSENDPOINT: '/ip4/127.0.0.1/tcp/0' }).ready()
    const url = /serving metrics url=(\S+)/.exec(peer.log)?.[1] ?? ''
    await peer.client.pin('bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy', {})
    await until('the pin is counted', async () => /^ipfscluster_pins 1$/m.test(await (await fetch(url)).text()))
    const text = await (await fetch(url)).text()
    for (const line of [
      /^quorate_peers 3$/m,
      /^quorate_raft_role\{role="(leader|follower)"\} 1$/m,
      /^quorate_raft_persist_latency_seconds_count [1-9]/m,
      /^quorate_raft_messages_received_total\{kind="append-entries-request"\} [1-9]/m,
      /^process_resident_memory_bytes [1-9]/m,
      /^nodejs_eventloop_lag_seconds /m
    ]) {
      assert.match(text, line)
    }
    await peer.stop()
    await assert.rejects(fetch(url))
    await peer.start().ready()
    assert.doesNotMatch(peer.log, /serving metrics/)
  })

  it('says which address of its metrics is taken, and does not start', async () => {
    const [other, peer] = daemons as [Daemon, Daemon]
    await peer.stop()
    const taken = `/ip4/127.0.0.1/tcp/${other.apiPort}`
    peer.start(['--stats'], { CLUSTER_METRICS_PROMETHEUSENDPOINT: taken })
    assert.equal(await peer.exited(), 1)
    assert.match(peer.log, new RegExp(`Cannot serve metrics on ${taken}: .*EADDRINUSE`))
    await peer.start().ready()
  })

  it('leaves a flight record on SIGUSR2 that runs again step by step, and goes on', async () => {
    const peer = daemons[2]!
    process.kill(peer.pid!, 'SIGUSR2')
    const folder = join(peer.folder, 'raft', 'flight-records')
    const [name] = await until('the record is there', async () => {
      const names = (await readdir(folder)).filter((file) => file.endsWith('.record'))
      return names.length > 0 && names
    })
    assert.equal((await stat(join(folder, name!))).mode & 0o777, 0o600)
    const command = [process.execPath, '--conditions=quorate-source', replay]
    const { code, stdout, stderr } = await run(command, ['--last=3', join(folder, name!)])
    assert.equal(code, 0, stderr)
    assert.match(stdout, /^\d+ at [\d.]+: /)
    assert.match(stdout, new RegExp(`^node ${peer.id}(#\\w+)?, recorded because of: SIGUSR2$`, 'm'))
    assert.match(stdout, /^\d\d+ steps over [\d.]+ s$/m)
    assert.match(stdout, /^every step is as it was recorded$/m)
    await peer.client.pin('bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e', {})
  })
})
