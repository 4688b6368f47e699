/** Leadership that is handed over, by daemons and the command line as users start them: when asked for, and before a clean stop. */

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { bootstrapCluster, cleanUp, type Daemon } from './support/daemon.ts'
import { leaderOf, statusOf } from './support/leader.ts'

let daemons: readonly Daemon[] = []

describe('leadership', () => {
  before(async () => {
    daemons = await bootstrapCluster(3)
  })
  after(() => cleanUp(daemons))

  it('goes to the peer that is named, whichever peer is asked', async () => {
    const leader = await leaderOf(daemons)
    const [target, asked] = daemons.filter((daemon) => daemon !== leader) as [Daemon, Daemon]
    for (const [peer, to] of [
      [asked, target],
      [asked, leader],
      [leader, target]
    ] as const) {
      assert.deepEqual(await peer.ctl('peers', 'transfer', to.id), {
        code: 0,
        stdout: `${to.id} leads\n`,
        stderr: ''
      })
      assert.equal(await leaderOf(daemons), to)
    }
  })

  it('goes to another when none is named', async () => {
    const leader = await leaderOf(daemons)
    const { code, stdout } = await leader.ctl('--enc', 'json', 'peers', 'transfer')
    assert.equal(code, 0)
    const { leader: now } = JSON.parse(stdout) as { leader: string }
    assert.notEqual(now, leader.id)
    assert.equal((await leaderOf(daemons)).id, now)
  })

  it('stays where it is when the peer that is named leads already, or is a stranger', async () => {
    const leader = await leaderOf(daemons)
    const follower = daemons.find((daemon) => daemon !== leader)!
    const again = await follower.ctl('peers', 'transfer', leader.id)
    assert.equal(again.code, 2)
    assert.match(again.stdout, /Code: 400\n {2}Message: cannot hand leadership to \S+: it leads already\n$/)
    const stranger = '12D3KooWCryG7Mon9orvQxcS1rYZjotPgpwoJNHHKcLLfE4Hf5mV'
    const unknown = await follower.ctl('peers', 'transfer', stranger)
    assert.equal(unknown.code, 2)
    assert.match(unknown.stdout, /Code: 400\n {2}Message: cannot hand leadership to \S+: it is no member\n$/)
    assert.equal(await leaderOf(daemons), leader)
  })

  it('is shown with the place of every member', async () => {
    const leader = await leaderOf(daemons)
    const { code, stdout } = await leader.ctl('peers', 'raft')
    assert.equal(code, 0)
    assert.equal(stdout.match(/ \| LEADER \| voter \| Term: \d+ /g)?.length, 1)
    assert.equal(stdout.match(/ \| follower \| voter \| Term: \d+ /g)?.length, 2)
    assert.equal(stdout.match(/ {4}- \S+ \| replicate \| /g)?.length, 2)
  })

  it('is handed over by a leader that is stopped, before it goes', async () => {
    const leader = await leaderOf(daemons)
    const rest = daemons.filter((daemon) => daemon !== leader)
    const { term } = (await statusOf(leader)).find(({ id }) => id === leader.id)!
    assert.equal(await leader.stop(), 0)
    // The last that it said of its own role is that it follows another, which a leader that just ends never says.
    const last = leader.log.split('\n').findLast((line) => /\traft\trole role=/.test(line)) ?? ''
    const [, role, follows] = /role=(\S+) term=\d+ leader=(\S+)/.exec(last) ?? []
    assert.equal(role, 'follower', `the last role in its log: ${last}`)
    const next = await leaderOf(rest)
    assert.equal(follows?.split('#')[0], next.id)
    const now = (await statusOf(next)).find(({ id }) => id === next.id)!
    assert.equal(now.term, term + 1, 'one election was enough')
    assert.match((await statusOf(next)).find(({ id }) => id === leader.id)!.error, /./)
  })
})
