/** Clients that send everything again, out of order and late: each command takes effect once, and nothing piles up. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { SessionClient, type SessionCommand } from '../../src/sessions/session-client.ts'
import { type SessionStamp, SessionTable } from '../../src/sessions/session-table.ts'

describe('a session client', () => {
  it('begins nothing before a session is open', () => {
    const client = new SessionClient()
    assert.equal(client.begin(), undefined)
    client.opened(5)
    assert.deepEqual(client.begin()?.stamp(), { session: 5, sequence: 1, answeredThrough: 0 })
  })

  it('says with a retry what is answered by then', () => {
    const client = new SessionClient()
    client.opened(5)
    const [first, second] = [client.begin()!, client.begin()!]
    assert.equal(second.stamp().answeredThrough, 0)
    first.end()
    assert.deepEqual(second.stamp(), { session: 5, sequence: 2, answeredThrough: 1 })
  })

  it('keeps to its window, counted from the oldest that is not answered', () => {
    const client = new SessionClient(3)
    client.opened(5)
    const commands = [client.begin()!, client.begin()!, client.begin()!]
    commands[1]!.end()
    commands[2]!.end()
    assert.equal(client.room, 0)
    assert.equal(client.begin(), undefined)
    commands[0]!.end()
    assert.deepEqual(client.begin()?.stamp(), { session: 5, sequence: 4, answeredThrough: 3 })
  })

  it('goes on in a new session after the old one expired, and leaves to the old what is under way', () => {
    const client = new SessionClient()
    client.opened(5)
    const old = client.begin()!
    client.expired(4)
    assert.equal(client.session, 5)
    client.expired(5)
    assert.equal(client.begin(), undefined)
    client.opened(9)
    assert.equal(old.stamp().session, 5)
    old.end()
    assert.deepEqual(client.begin()?.stamp(), { session: 9, sequence: 1, answeredThrough: 0 })
  })

  it('gets each command applied once, however often and late it is sent', () => {
    const moves = fc.array(fc.record({ move: fc.nat(5), which: fc.nat(1000) }), { maxLength: 200 })
    fc.assert(
      fc.property(moves, (steps) => {
        const table = new SessionTable()
        const client = new SessionClient(5)
        client.opened(table.open(1))
        let index = 1
        const applied: number[] = []
        const underWay: SessionCommand[] = []
        /** On their way to the log, where they may stand more than once. */
        const copies: SessionStamp[] = []
        for (const { move, which } of steps) {
          if (move <= 1) {
            const command = client.begin()
            if (command !== undefined) underWay.push(command)
          } else if (move <= 3) {
            const command = underWay[which % (underWay.length || 1)]
            if (command !== undefined) copies.push(command.stamp())
          } else if (move === 4 && copies.length > 0) {
            const said = copies[which % copies.length]!
            if (which % 3 === 0) copies.splice(which % copies.length, 1)
            const admission = table.admit(++index, said)
            assert(admission.type !== 'refused' || admission.reason === 'already-answered', JSON.stringify(admission))
            if (admission.type === 'new') {
              applied.push(said.sequence)
              table.record(said, Uint8Array.of(said.sequence))
            } else if (admission.type === 'repeated') assert.deepEqual(admission.result, Uint8Array.of(said.sequence))
          } else if (underWay.length > 0) {
            // Answered, or given up.
            underWay.splice(which % underWay.length, 1)[0]!.end()
          }
        }
        assert.equal(new Set(applied).size, applied.length)
      }),
      { numRuns: 300 }
    )
  })
})
