/** Whose state is wrong: majorities decide, whoever leads, in whatever order the numbers come; without one nobody is ended (T43, T45). */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { Message } from '../../src/core/messages.ts'
import { defaultCoreOptions } from '../../src/core/options.ts'
import { createRaftCore } from '../../src/core/raft.ts'
import { makeEntry } from '../../src/core/record.ts'
import { type ClusterConfig, type Effect, EntryKind, type RaftCore } from '../../src/core/types.ts'
import { checksum } from '../../src/storage/checksum.ts'

const RIGHT = 0xaaaa
const WRONG = 0xbbbb
const LENGTH = 200

const entries = (() => {
  const made = []
  let chain = 0
  for (let index = 1; index <= LENGTH; index++) {
    const entry = makeEntry(index, 1, EntryKind.command, Uint8Array.of(index), chain, checksum)
    chain = entry.chain
    made.push(entry)
  }
  return made
})()

class Node {
  readonly core: RaftCore
  readonly out: Effect[] = []
  nowMs = 0

  constructor(voters: readonly string[], learners: readonly string[] = [], id = voters[0]!) {
    const config: ClusterConfig = { voters, outgoing: [], learners }
    this.core = createRaftCore({
      id,
      options: defaultCoreOptions,
      checksum,
      seed: 1,
      hardState: { term: 1, votedFor: undefined },
      base: { index: 0, term: 0, chain: 0, config },
      entries: [...entries],
      appliedIndex: 0
    })
  }

  step(input: Parameters<RaftCore['step']>[0]): void {
    this.core.step(input, this.nowMs, this.out)
    for (;;) {
      const at = this.out.findIndex((effect) => effect.type === 'persist')
      if (at < 0) return
      const [persist] = this.out.splice(at, 1)
      if (persist?.type !== 'persist') return
      for (const { to, message } of persist.release) this.out.push({ type: 'send', to, message })
      this.core.step({ type: 'persisted', seq: persist.seq }, this.nowMs, this.out)
    }
  }

  receive(from: string, message: Message): void {
    this.step({ type: 'receive', from, message })
  }

  /** Leads, with all of the log and its own entry committed. */
  lead(peers: readonly string[]): void {
    for (; this.core.status(this.nowMs).role === 'follower'; this.nowMs += 50) this.step({ type: 'tick' })
    for (const from of peers) this.receive(from, { type: 'pre-vote-response', term: 2, granted: true })
    for (const from of peers) this.receive(from, { type: 'vote-response', term: 2, granted: true })
    assert.equal(this.core.status(this.nowMs).role, 'leader')
    for (const from of peers) {
      this.receive(from, {
        type: 'append-entries-response',
        term: 2,
        success: true,
        index: LENGTH + 1,
        hintIndex: 0,
        hintTerm: 0,
        readPosition: 0,
        health: 'good',
        priority: 0
      })
    }
    this.out.length = 0
  }

  follow(leader: string): void {
    this.receive(leader, {
      type: 'append-entries-request',
      term: 2,
      prevIndex: LENGTH,
      prevTerm: 1,
      prevChain: entries.at(-1)!.chain,
      entries: [],
      commitIndex: LENGTH,
      readPosition: 0
    })
    this.out.length = 0
  }

  applied(index: number, digest: number): void {
    this.step({ type: 'applied', index, digest })
  }

  reported(from: string, index: number, digest: number): void {
    this.receive(from, { type: 'digest-report', term: 2, index, digest })
  }

  get alarms(): string[] {
    return this.out.flatMap((effect) => (effect.type === 'alarm' ? [effect.detail] : []))
  }

  get ended(): boolean {
    return this.out.some(({ type }) => type === 'state-diverged')
  }

  sent(type: Message['type']): { to: string; message: Message }[] {
    return this.out.flatMap((effect) =>
      effect.type === 'send' && effect.message.type === type ? [{ to: effect.to, message: effect.message }] : []
    )
  }
}

function leader(voters = ['a', 'b', 'c'], learners: string[] = []): Node {
  const node = new Node(voters, learners)
  node.lead(voters.slice(1))
  return node
}

describe('a leader that compares states', () => {
  it('says nothing while all are the same', () => {
    const node = leader()
    node.reported('b', 64, RIGHT)
    node.applied(64, RIGHT)
    node.reported('c', 64, RIGHT)
    assert.deepEqual([node.alarms, node.sent('digest-verdict'), node.ended], [[], [], false])
  })

  it('names the follower that differs from two, and tells it', () => {
    const node = leader()
    node.applied(64, RIGHT)
    node.reported('b', 64, RIGHT)
    node.reported('c', 64, WRONG)
    assert.match(node.alarms.join(), /the state of c/)
    assert.deepEqual(node.sent('digest-verdict'), [
      { to: 'c', message: { type: 'digest-verdict', term: 2, index: 64, digest: RIGHT, proven: true } }
    ])
    assert.equal(node.ended, false)
  })

  it('ends when it is itself the one that differs', () => {
    const node = leader()
    node.reported('b', 64, RIGHT)
    node.reported('c', 64, RIGHT)
    node.applied(64, WRONG)
    assert.equal(node.ended, true)
    const before = node.out.length
    node.step({ type: 'tick' })
    assert.equal(node.out.length, before)
  })

  it('ends nobody while two are all that is known, and alarms both', () => {
    const node = leader()
    node.applied(64, RIGHT)
    node.reported('b', 64, WRONG)
    assert.match(node.alarms.join(), /b differs .* not known which is right/)
    const [verdict] = node.sent('digest-verdict')
    assert.equal(verdict?.message.type === 'digest-verdict' && verdict.message.proven, false)
    node.out.length = 0
    node.reported('c', 64, WRONG)
    assert.equal(node.ended, true)
  })

  it('ends nobody in a group of two', () => {
    const node = leader(['a', 'b'])
    node.applied(64, RIGHT)
    node.reported('b', 64, WRONG)
    node.applied(128, RIGHT)
    node.reported('b', 128, WRONG)
    assert.equal(node.ended, false)
    assert.equal(node.alarms.length, 2)
  })

  it('does not take three of five for proof unless they agree', () => {
    const node = leader(['a', 'b', 'c', 'd', 'e'])
    node.applied(64, WRONG)
    node.reported('b', 64, RIGHT)
    node.reported('c', 64, RIGHT)
    assert.equal(node.ended, false)
    node.reported('d', 64, RIGHT)
    assert.equal(node.ended, true)
  })

  it('names a learner, and does not count it', () => {
    const node = leader(['a', 'b', 'c'], ['l'])
    node.applied(64, RIGHT)
    node.reported('l', 64, WRONG)
    node.out.length = 0
    node.reported('b', 64, RIGHT)
    assert.match(node.alarms.join(), /the state of l/)
    assert.equal(node.sent('digest-verdict')[0]?.to, 'l')
  })

  it('proves nothing by itself alone, though it is the only voter', () => {
    const node = leader(['a'], ['l', 'm'])
    node.applied(64, WRONG)
    node.reported('l', 64, RIGHT)
    assert.match(node.alarms.join(), /not known which is right/)
    const [verdict] = node.sent('digest-verdict')
    assert.equal(verdict?.message.type === 'digest-verdict' && verdict.message.proven, false)
    node.reported('m', 64, WRONG)
    assert.equal(node.sent('digest-verdict').at(-1)?.to, 'l')
  })

  it('believes no stranger, and nobody about what is not committed', () => {
    const node = leader()
    node.applied(64, RIGHT)
    node.reported('x', 64, WRONG)
    node.reported('b', 10_000, WRONG)
    assert.deepEqual(node.alarms, [])
  })

  it('comes to the same verdict in whatever order numbers come', () => {
    const voters = ['a', 'b', 'c', 'd', 'e']
    fc.assert(
      fc.property(
        fc.shuffledSubarray(voters, { minLength: 5 }),
        fc.subarray(voters, { maxLength: 2 }),
        (order, wrong) => {
          const node = leader(voters)
          for (const id of order) {
            const digest = wrong.includes(id) ? WRONG : RIGHT
            if (id === 'a') node.applied(64, digest)
            else node.reported(id, 64, digest)
          }
          assert.equal(node.ended, wrong.includes('a'))
          if (node.ended) return
          const told = node
            .sent('digest-verdict')
            .flatMap(({ to, message }) => (message.type === 'digest-verdict' && message.proven ? [to] : []))
          assert.deepEqual([...new Set(told)].sort(), wrong)
        }
      )
    )
  })

  it('remembers a bounded number of reports', () => {
    const node = leader()
    for (let round = 0; round < 3; round++) {
      for (let index = 1; index <= LENGTH; index++) node.reported('b', index, round)
    }
    for (let index = 100; index <= 190; index += 10) node.applied(index, RIGHT)
    assert.equal(node.alarms.length, 0)
  })
})

describe('a follower', () => {
  it('reports to its leader, and again to the next one', () => {
    const node = new Node(['a', 'b', 'c'], [], 'b')
    node.follow('a')
    node.applied(64, RIGHT)
    assert.deepEqual(node.sent('digest-report'), [
      { to: 'a', message: { type: 'digest-report', term: 2, index: 64, digest: RIGHT } }
    ])
    node.out.length = 0
    node.step({ type: 'tick' })
    assert.equal(node.sent('digest-report').length, 0)
    node.receive('c', {
      type: 'append-entries-request',
      term: 3,
      prevIndex: LENGTH,
      prevTerm: 1,
      prevChain: entries.at(-1)!.chain,
      entries: [],
      commitIndex: LENGTH,
      readPosition: 0
    })
    node.step({ type: 'tick' })
    assert.deepEqual(
      node.sent('digest-report').map(({ to }) => to),
      ['c']
    )
  })

  it('repeats its last report, which may have been lost', () => {
    const node = new Node(['a', 'b', 'c'], [], 'b')
    node.follow('a')
    node.applied(64, RIGHT)
    for (let round = 0; round < 40; round++) {
      node.nowMs += 400
      node.follow('a')
      node.step({ type: 'tick' })
      if (node.sent('digest-report').length > 0) return
    }
    assert.fail('no report was repeated')
  })

  it('does not end for a state that a snapshot has replaced since', () => {
    const node = new Node(['a', 'b', 'c'], [], 'b')
    node.follow('a')
    node.applied(64, WRONG)
    const base = {
      index: LENGTH + 50,
      term: 2,
      chain: 1,
      config: { voters: ['a', 'b', 'c'], outgoing: [], learners: [] }
    }
    node.receive('a', { type: 'install-snapshot-request', term: 2, base, readPosition: 0 })
    node.step({ type: 'snapshot-installed', base })
    node.receive('a', { type: 'digest-verdict', term: 2, index: 64, digest: RIGHT, proven: true })
    assert.equal(node.ended, false)
    // Nor if word of the old state comes only now.
    node.applied(64, WRONG)
    node.receive('a', { type: 'digest-verdict', term: 2, index: 64, digest: RIGHT, proven: true })
    assert.equal(node.ended, false)
  })

  it('ends when its leader proves it wrong, and nobody else', () => {
    const node = new Node(['a', 'b', 'c'], [], 'b')
    node.follow('a')
    node.applied(64, WRONG)
    const verdict = { type: 'digest-verdict', term: 2, index: 64, digest: RIGHT, proven: true } as const
    node.receive('c', verdict)
    node.receive('a', { ...verdict, index: 63 })
    node.receive('a', { ...verdict, digest: WRONG })
    assert.equal(node.ended, false)
    node.receive('a', { ...verdict, proven: false })
    assert.equal(node.ended, false)
    assert.equal(node.alarms.length, 1)
    node.receive('a', verdict)
    assert.equal(node.ended, true)
  })
})
