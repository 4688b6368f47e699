/**
 * The leader is killed while other peers pass writes on to it: whether a write took effect before its answer was lost is known by its
 * session, so that the peer that was asked tries again through the next leader, and answers as if nothing had happened (T44). Above all
 * an unpin that was done by its first try is not answered with 404 by its second.
 */

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { absentCid, allocationsOf } from './support/content.ts'
import { bootstrapCluster, cleanUp, type Daemon } from './support/daemon.ts'
import { leaderOf } from './support/leader.ts'

const WRITES = 240
/** The kill comes after so many answers, so that the others are at every stage of their way. */
const ANSWERS_BEFORE_KILL = 40
const ROUNDS = 3

let daemons: readonly Daemon[] = []

/** One request, without any retry. */
async function ask(daemon: Daemon, method: 'POST' | 'DELETE', cid: string): Promise<number> {
  const answer = await fetch(`${daemon.api}/pins/${cid}`, { method })
  await answer.arrayBuffer()
  return answer.status
}

describe('the end of the leader', () => {
  before(async () => {
    daemons = await bootstrapCluster(3)
  })
  after(() => cleanUp(daemons))

  it('is not seen by those who pin and unpin through the others', async (t) => {
    const cids = Array.from({ length: WRITES }, absentCid)
    const statuses = await Promise.all(cids.map((cid, at) => ask(daemons[at % 3]!, 'POST', cid)))
    assert.deepEqual(new Set(statuses), new Set([200]))
    let present = new Set(cids)
    for (let round = 0; round < ROUNDS; round++) {
      const leader = await leaderOf(daemons)
      const others = daemons.filter((daemon) => daemon !== leader)
      const leaving = [...present]
      const coming = Array.from({ length: WRITES }, absentCid)
      let answers = 0
      const enough = Promise.withResolvers<void>()
      const write = async (method: 'POST' | 'DELETE', cid: string, at: number): Promise<number> => {
        const status = await ask(others[at % others.length]!, method, cid)
        if (++answers === ANSWERS_BEFORE_KILL) enough.resolve()
        return status
      }
      // Unpins and pins by turns, all at once.
      const sent = leaving.flatMap((cid, at) => [write('DELETE', cid, at), write('POST', coming[at]!, at + 1)])
      await enough.promise
      const open = sent.length - answers
      await leader.stop('SIGKILL')
      assert.ok(open > 0, 'the kill came too late to hit anything')
      const seen = await Promise.all(sent)
      t.diagnostic(`${open} writes were under way when the leader of round ${round + 1} was killed`)
      assert.deepEqual(new Set(seen), new Set([200]))
      present = new Set(coming)
      for (const daemon of others) assert.deepEqual(await allocationsOf(daemon), present)
      leader.start()
      await leader.ready()
    }
    // What is not there is still answered with 404.
    assert.equal(await ask(daemons[0]!, 'DELETE', absentCid()), 404)
  })
})
