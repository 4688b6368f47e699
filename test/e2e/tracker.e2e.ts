/** Pins that cannot be fulfilled: they hold nothing up, say why, can be tried again, and go without a trace. */

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type GlobalPinInfo, globalPinInfoCodec } from '@quorate/client'
import { localStatus, untilStatus } from './support/content.ts'
import { bootstrapCluster, cleanUp, type Daemon, until } from './support/daemon.ts'
import { PinLoad } from './support/pin-load.ts'

const HOPELESS = 300
/**
 * One after the other, ten at a time and two minutes each, the hopeless pins would take an hour. The limit is a few times what it
 * takes until the first of them give their places back.
 */
const SOON_MS = 30_000

describe('300 pins of content that nobody has', () => {
  let daemons: readonly Daemon[] = []
  let folder: string
  const load = new PinLoad()
  let first: Daemon
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'quorate-e2e-tracker-'))
    daemons = await bootstrapCluster(3)
    first = daemons[0]!
    await load.send(daemons, HOPELESS)
    assert.equal(load.acknowledged.size, HOPELESS)
  })
  after(async () => {
    await cleanUp(daemons)
    await rm(folder, { recursive: true, force: true })
  })

  async function statusAll(daemon: Daemon): Promise<GlobalPinInfo[]> {
    const all: GlobalPinInfo[] = []
    for await (const info of daemon.client.statusAll()) all.push(info)
    return all
  }

  it('do not hold up content that somebody has', async (t) => {
    const file = join(folder, 'small')
    for (let round = 0; round < 3; round++) {
      await writeFile(file, randomBytes(10_000))
      const startMs = performance.now()
      const { code, stdout, stderr } = await daemons[round]!.ctl('add', '-Q', file)
      assert.equal(code, 0, stderr)
      await untilStatus(daemons, stdout.trim(), 'pinned', SOON_MS)
      t.diagnostic(`pinned on all after ${((performance.now() - startMs) / 1000).toFixed(1)} s`)
    }
  })

  it('say on each peer why they are not pinned', async () => {
    for (const daemon of daemons) {
      await until(`${daemon.name} gives a reason`, async () => {
        for (const cid of load.asked) {
          const { status, error } = await localStatus(daemon, cid)
          assert.ok(['pin_queued', 'pinning', 'pin_error'].includes(status), `${cid} is ${status}`)
          if (status === 'pin_error') {
            assert.match(error, /no provider found/)
            assert.match(error, /attempt \d+, next try /)
            return true
          }
        }
        return false
      })
    }
    const { code, stdout } = await first.ctl('status', '--filter', 'error')
    assert.equal(code, 0)
    assert.match(stdout, / : PIN_ERROR: no progress for .*no provider found/)
  })

  it('are tried again at once on recover', async () => {
    const failed = (await statusAll(first)).find(({ peerMap }) => peerMap[first.id]?.status === 'pin_error')
    assert.ok(failed !== undefined)
    const { code, stdout, stderr } = await first.ctl('--enc', 'json', 'recover', '--local', failed.cid)
    assert.equal(code, 0, stderr)
    const copy = globalPinInfoCodec.decode(JSON.parse(stdout)).peerMap[first.id]
    assert.ok(copy?.status === 'pin_queued' || copy?.status === 'pinning', `it is ${copy?.status}`)
    assert.match(copy.error, /no provider found.*(trying again now|queued to be tried again)/)
  })

  it('are gone from every status when they are unpinned', async () => {
    const [one, ...rest] = load.asked
    assert.equal((await first.ctl('pin', 'rm', one!)).code, 0)
    for (const [at, cid] of rest.entries()) await daemons[at % daemons.length]!.client.unpin(cid)
    for (const daemon of daemons) {
      await until(`${daemon.name} shows the content that is pinned, and nothing else`, async () => {
        const all = await statusAll(daemon)
        const copies = all.flatMap(({ peerMap }) => Object.values(peerMap))
        return all.length === 3 && copies.length === 9 && copies.every(({ status }) => status === 'pinned')
      })
    }
  })
})
