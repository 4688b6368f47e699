/** Numbers for writes: who opens the session, who waits, and that nobody waits for ever. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SessionClient } from '@quorate/raft'
import { WriteSession } from '../../src/consensus/write-session.ts'
import { turn } from './fakes.ts'

const { signal } = new AbortController()

describe('the session of a daemon', () => {
  it('is opened once, for all who write at the same time', async () => {
    const session = new WriteSession()
    let opened = 0
    const open = async () => {
      await turn()
      return ++opened
    }
    const commands = await Promise.all([1, 2, 3].map(() => session.begin(open, signal)))
    assert.equal(opened, 1)
    assert.deepEqual(
      commands.map((command) => command.stamp().sequence),
      [1, 2, 3]
    )
  })

  it('is opened by the next one when the first one fails', async () => {
    const session = new WriteSession()
    const first = session.begin(async () => {
      await turn()
      throw new Error('no leader')
    }, signal)
    const second = session.begin(async () => 7, signal)
    await assert.rejects(first, /no leader/)
    assert.equal((await second).stamp().session, 7)
  })

  it('lets no more begin than there is room for, in their order', async () => {
    const session = new WriteSession(new SessionClient(2))
    const open = async () => 1
    const [one, two] = [await session.begin(open, signal), await session.begin(open, signal)]
    const begun: number[] = []
    const waiting = [3, 4, 5].map((number) =>
      session.begin(open, signal).then((command) => {
        begun.push(number)
        return command
      })
    )
    two!.end()
    await turn()
    assert.deepEqual(begun, [])
    one!.end()
    await turn()
    assert.deepEqual(begun, [3, 4])
    const three = await waiting[0]!
    three.end()
    await turn()
    assert.deepEqual(begun, [3, 4, 5])
  })

  it('gives the turn of one who left to the next', async () => {
    const session = new WriteSession(new SessionClient(1))
    const open = async () => 1
    const one = await session.begin(open, signal)
    const leaving = new AbortController()
    const left = session.begin(open, leaving.signal)
    const stays = session.begin(open, signal)
    one.end()
    leaving.abort(new Error('enough'))
    await assert.rejects(left, /enough/)
    assert.equal((await stays).stamp().sequence, 2)
  })

  it('is opened anew once it has expired', async () => {
    const session = new WriteSession()
    let opened = 0
    const open = async () => ++opened
    const old = await session.begin(open, signal)
    session.expired(old.stamp().session)
    assert.equal((await session.begin(open, signal)).stamp().session, 2)
    assert.equal(old.stamp().session, 1)
  })
})
