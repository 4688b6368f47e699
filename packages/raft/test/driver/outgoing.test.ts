import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { AppendEntriesRequest, Message } from '../../src/core/messages.ts'
import { makeEntry } from '../../src/core/record.ts'
import { Outgoing } from '../../src/driver/outgoing.ts'
import { checksum } from '../../src/storage/checksum.ts'

const append = (commitIndex: number, entries = 0): AppendEntriesRequest => ({
  type: 'append-entries-request',
  term: 1,
  prevIndex: 0,
  prevTerm: 0,
  prevChain: 0,
  entries: Array.from({ length: entries }, (_, i) => makeEntry(i + 1, 1, 1, new Uint8Array(1), 0, checksum)),
  commitIndex,
  readPosition: 0
})

function start(): { outgoing: Outgoing; sent: [string, Message][] } {
  const sent: [string, Message][] = []
  return { outgoing: new Outgoing((to, message) => sent.push([to, message])), sent }
}

describe('Outgoing', () => {
  it('sends all but empty appends at once', () => {
    const { outgoing, sent } = start()
    const vote: Message = { type: 'vote-request', term: 1, lastIndex: 0, lastTerm: 0, transfer: false }
    outgoing.send('a', vote)
    outgoing.send('a', append(0, 2))
    assert.equal(sent.length, 2)
    assert.equal(outgoing.endTurn(), false)
  })

  it('sends an empty append at the end of the next turn', () => {
    const { outgoing, sent } = start()
    outgoing.send('a', append(1))
    assert.equal(outgoing.endTurn(), true)
    assert.deepEqual(sent, [])
    assert.equal(outgoing.endTurn(), false)
    assert.deepEqual(sent, [['a', append(1)]])
  })

  it('does not send an empty append that one with entries has made needless, to that peer only', () => {
    const { outgoing, sent } = start()
    outgoing.send('a', append(1))
    outgoing.send('b', append(1))
    outgoing.endTurn()
    outgoing.send('a', append(1, 1))
    outgoing.endTurn()
    assert.deepEqual(
      sent.map(([to, message]) => [to, (message as AppendEntriesRequest).entries.length]),
      [
        ['a', 1],
        ['b', 0]
      ]
    )
  })

  it('does not put off an empty append for ever when every turn has one', () => {
    const { outgoing, sent } = start()
    for (let turn = 1; turn <= 10; turn++) {
      outgoing.send('a', append(turn))
      outgoing.endTurn()
    }
    assert.ok(sent.length > 0)
  })
})
