import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { makeEntry } from '../../src/core/record.ts'
import { EntryKind } from '../../src/core/types.ts'
import { openRaft } from '../../src/driver/driver.ts'
import type { Transport, TransportHandler } from '../../src/ports.ts'
import { checksum } from '../../src/storage/checksum.ts'
import { Group } from '../support/group.ts'
import { MemoryNetwork } from '../support/memory-network.ts'
import { MemoryDisk, MemoryLog, MemorySnapshots } from '../support/memory-storage.ts'
import { RegisterMachine } from '../support/register-machine.ts'
import { until } from '../support/until.ts'

const bytes = (text: string): Uint8Array => Buffer.from(text)
const texts = (count: number, prefix = 'c'): string[] => Array.from({ length: count }, (_, i) => `${prefix}${i}`)

describe('openRaft', () => {
  it('applies each command once, in order, on every node, and answers its result', async () => {
    await using group = await Group.start(['a', 'b', 'c'])
    const leader = await group.leader()
    const all = texts(500)
    const answers = await Promise.all(all.map((text) => leader.raft.propose(bytes(text))))
    assert.deepEqual(
      answers.map(({ result }) => result),
      all.map((text) => `did ${text}`)
    )
    for (const { raft, machine } of group.members.values()) {
      await raft.waitApplied(answers.at(-1)!.index)
      assert.deepEqual(machine.texts, all)
    }
  })

  it('writes what is proposed in one turn together', async () => {
    await using group = await Group.start(['a'])
    const leader = await group.leader()
    const before = leader.disk.persists
    await Promise.all(texts(1000).map((text) => leader.raft.propose(bytes(text))))
    assert.equal(leader.disk.persists - before, 1)
  })

  it('keeps the order of proposeMany and answers when all are applied', async () => {
    await using group = await Group.start(['a', 'b', 'c'])
    const leader = await group.leader()
    const answers = await leader.raft.proposeMany(texts(3000).map(bytes))
    assert.deepEqual(leader.machine.texts, texts(3000))
    assert.equal(answers.length, 3000)
    assert.equal(answers[2999]!.index - answers[0]!.index, 2999)
    assert.deepEqual(await leader.raft.proposeMany([]), [])
  })

  it('refuses on a follower, and names the leader', async () => {
    await using group = await Group.start(['a', 'b', 'c'])
    const leader = await group.leader()
    const follower = [...group.members.values()].find(({ id }) => id !== leader.id)!
    await assert.rejects(follower.raft.propose(bytes('x')), { name: 'NotLeaderError', leader: leader.id })
  })

  it('refuses a command that is too large, and takes those beside it', async () => {
    await using group = await Group.start(['a'], { maxEntryBytes: 10 })
    const leader = await group.leader()
    const [small, large] = await Promise.allSettled([
      leader.raft.propose(bytes('0123456789')),
      leader.raft.propose(bytes('0123456789a'))
    ])
    assert.equal(small.status, 'fulfilled')
    assert.equal(large.status === 'rejected' && large.reason.code, 'too-large')
  })

  it('does not count its own write before it is durable, and does not wait for it to send', async () => {
    await using group = await Group.start(['a', 'b', 'c'])
    const leader = await group.leader()
    const gate = Promise.withResolvers<void>()
    for (const { disk } of group.members.values()) disk.gate = gate.promise
    const sent = new Set<string>()
    group.network.onSend = (from, to, message) => {
      if (message.type === 'append-entries-request' && message.entries.length > 0 && from === leader.id) sent.add(to)
    }
    const answer = leader.raft.propose(bytes('x'))
    await until('both peers were sent the entry', () => sent.size === 2)
    assert.deepEqual(leader.machine.texts, [])
    gate.resolve()
    await answer
    assert.deepEqual(leader.machine.texts, ['x'])
  })

  it('elects another leader when the leader dies, loses nothing acknowledged, and takes the dead one back', async () => {
    await using group = await Group.start(['a', 'b', 'c'])
    const first = await group.leader()
    await first.raft.proposeMany(texts(100).map(bytes))
    await first.raft.close()
    const rest = [...group.members.keys()].filter((id) => id !== first.id)
    const second = await group.leader(rest)
    await second.raft.proposeMany(texts(100, 'd').map(bytes))
    await group.open(first.id)
    const all = [...texts(100), ...texts(100, 'd')]
    await until('the old leader has caught up', () => first.machine.applied.length === all.length)
    assert.deepEqual(first.machine.texts, all)
    assert.deepEqual(second.machine.texts, all)
  })

  it('tells a proposal that was replaced from one whose fate is open', async () => {
    await using group = await Group.start(['a', 'b', 'c'])
    const old = await group.leader()
    group.network.cutOff(old.id)
    const lost = old.raft.propose(bytes('lost'))
    const abort = new AbortController()
    const open = old.raft.propose(bytes('open'), { signal: abort.signal })
    abort.abort()
    await assert.rejects(open, { name: 'OutcomeUnknownError' })
    const next = await group.leader([...group.members.keys()].filter((id) => id !== old.id))
    await next.raft.propose(bytes('kept'))
    group.network.heal()
    await assert.rejects(lost, { name: 'ProposalLostError' })
    await until('the old leader has what was kept', () => old.machine.texts.includes('kept'))
    assert.deepEqual(old.machine.texts, ['kept'])
  })

  it('applies nothing twice after a crash in which the state lost its last writes', async () => {
    await using group = await Group.start(['a'])
    const a = await group.leader()
    await a.raft.proposeMany(texts(50).map(bytes))
    await a.raft.checkpoint()
    await a.raft.proposeMany(texts(50, 'd').map(bytes))
    await a.raft.close()
    await group.open('a')
    await group.leader()
    await until('all is applied again', () => a.machine.applied.length === 100)
    assert.deepEqual(a.machine.texts, [...texts(50), ...texts(50, 'd')])
    assert.equal(a.machine.calls.length, 50)
  })

  it('reads what was acknowledged before, on every node', async () => {
    await using group = await Group.start(['a', 'b', 'c'])
    const leader = await group.leader()
    for (let i = 0; i < 20; i++) {
      const { index } = await leader.raft.propose(bytes(`w${i}`))
      await Promise.all(
        [...group.members.values()].map(async ({ raft, machine }) => {
          assert.ok((await raft.readBarrier()) >= index)
          assert.ok(machine.texts.includes(`w${i}`))
        })
      )
    }
  })

  it('does not confirm a read without a quorum', async () => {
    await using group = await Group.start(['a', 'b', 'c'])
    const leader = await group.leader()
    group.network.cutOff(leader.id)
    await assert.rejects(leader.raft.readBarrier({ signal: AbortSignal.timeout(300) }), {
      name: 'ReadUnavailableError'
    })
    group.network.heal()
  })

  it('brings a late joiner up by snapshot, makes it a voter, and removes another', async () => {
    await using group = await Group.start(['a', 'b', 'c'], { trailingEntries: 10 })
    const leader = await group.compacted(texts(1000).map(bytes))
    const joiner = await group.open('d')
    await leader.raft.changeMembers({ voters: ['a', 'b', 'c'], learners: ['d'] })
    await until('the joiner has the state', () => joiner.machine.applied.length === 1000)
    assert.equal(joiner.machine.restores, 1)
    const removed = ['a', 'b', 'c'].find((id) => id !== leader.id)!
    const voters = ['a', 'b', 'c', 'd'].filter((id) => id !== removed)
    await leader.raft.changeMembers({ voters, learners: [] })
    assert.deepEqual(leader.raft.status().config, { voters, outgoing: [], learners: [] })
    await leader.raft.propose(bytes('after'))
    await until('the new voter has it', () => joiner.machine.texts.at(-1) === 'after')
  })

  it('goes on with a snapshot where a broken transfer ended, and takes no damaged chunk', async () => {
    await using group = await Group.start(['a', 'b', 'c'], { trailingEntries: 10 })
    const leader = await group.compacted(texts(2000).map(bytes))
    const fetched: number[] = []
    let damage = 3
    group.network.onChunk = (chunk, chunkBytes) => {
      fetched.push(chunk)
      return chunk === 5 && damage-- > 0 ? Buffer.alloc(chunkBytes.length, 1) : chunkBytes
    }
    const joiner = await group.open('d')
    await leader.raft.changeMembers({ voters: ['a', 'b', 'c'], learners: ['d'] })
    await until('the joiner has the state', () => joiner.machine.applied.length === 2000)
    assert.equal(fetched.filter((chunk) => chunk === 5).length, 4)
    assert.equal(fetched.filter((chunk) => chunk === 4).length, 1)
  })

  it('takes up a joiner that crashed between its admission and its first entry', async () => {
    await using group = await Group.start(['a', 'b', 'c'])
    const leader = await group.leader()
    const joiner = await group.open('d')
    // The entry that admits it is committed, and it is gone before anything of it has arrived.
    group.network.cutOff('d')
    await leader.raft.changeMembers({ voters: ['a', 'b', 'c'], learners: ['d'] })
    await joiner.raft.close()
    assert.equal(joiner.disk.entries.length, 0)
    group.network.heal()
    await group.open('d')
    await leader.raft.propose(bytes('x'))
    await until('the joiner has it', () => joiner.machine.texts.includes('x'))
    assert.deepEqual(joiner.raft.status().config, { voters: ['a', 'b', 'c'], outgoing: [], learners: ['d'] })
  })

  for (const kept of [true, false]) {
    it(`takes back a member that was removed, ${kept ? 'with' : 'without'} its data`, async () => {
      await using group = await Group.start(['a', 'b', 'c'])
      const leader = await group.leader()
      await leader.raft.propose(bytes('before'))
      const [gone, stays] = ['a', 'b', 'c'].filter((id) => id !== leader.id) as [string, string]
      const voters = [leader.id, stays].sort()
      await group.get(gone).raft.close()
      await leader.raft.changeMembers({ voters, learners: [] })
      await leader.raft.propose(bytes('meanwhile'))
      if (!kept) group.members.delete(gone)
      const back = await group.open(gone)
      await leader.raft.changeMembers({ voters, learners: [gone] })
      await until('it has caught up', () => back.machine.texts.includes('meanwhile'))
      await leader.raft.changeMembers({ voters: ['a', 'b', 'c'], learners: [] })
      assert.deepEqual(back.machine.texts, ['before', 'meanwhile'])
      await leader.raft.transferLeadership(gone)
      assert.equal((await group.leader()).id, gone)
    })
  }

  it('stops for good when the state cannot be made durable', async () => {
    await using group = await Group.start(['a'])
    const leader = await group.leader()
    await leader.raft.propose(bytes('x'))
    const halted = new Promise<string>((resolve) => leader.raft.on('halt', ({ reason }) => resolve(reason)))
    leader.machine.flush = () => Promise.reject(new Error('ENOSPC'))
    await leader.raft.checkpoint()
    assert.match(await halted, /cannot be made durable: ENOSPC/)
    assert.equal(leader.raft.status().baseIndex, 0)
  })

  it('goes on, and says why, when there is no room for a snapshot', async () => {
    await using group = await Group.start(['a', 'b', 'c'], { trailingEntries: 10 })
    const leader = await group.compacted(texts(1000).map(bytes))
    const joiner = await group.open('d')
    const alarms: string[] = []
    joiner.raft.on('alarm', ({ code, detail }) => alarms.push(`${code}: ${detail}`))
    joiner.disk.snapshotFailure = new Error('ENOSPC')
    await leader.raft.changeMembers({ voters: ['a', 'b', 'c'], learners: ['d'] })
    await until('it said so', () => alarms.some((alarm) => /snapshot-not-fetched: ENOSPC/.test(alarm)))
    await leader.raft.propose(bytes('meanwhile'))
  })

  it('hands leadership over', async () => {
    await using group = await Group.start(['a', 'b', 'c'])
    const leader = await group.leader()
    const to = ['a', 'b', 'c'].find((id) => id !== leader.id)!
    await leader.raft.transferLeadership(to)
    assert.equal((await group.leader()).id, to)
  })

  it('hands leadership over as it closes, if it is given time for that', async () => {
    await using group = await Group.start(['a', 'b', 'c'])
    const first = await group.leader()
    const asked: string[] = []
    group.network.onSend = (from, to, message) => {
      if (message.type === 'timeout-now' && from === first.id) asked.push(to)
    }
    await first.raft.close({ handOverMs: 10_000 })
    const rest = ['a', 'b', 'c'].filter((id) => id !== first.id)
    const second = await group.leader(rest)
    assert.ok(asked.includes(second.id))
  })

  it('stops for good when a write fails, and says nothing more', async () => {
    await using group = await Group.start(['a', 'b', 'c'])
    const leader = await group.leader()
    const halted = new Promise<string>((resolve) => leader.raft.on('halt', ({ reason }) => resolve(reason)))
    leader.disk.failure = new Error('EIO')
    const answer = leader.raft.propose(bytes('x'))
    assert.match(await halted, /EIO/)
    await assert.rejects(answer, { name: 'OutcomeUnknownError' })
    let said = 0
    group.network.onSend = (from) => {
      if (from === leader.id) said++
    }
    await assert.rejects(leader.raft.propose(bytes('y')), { name: 'ProposalRefusedError', code: 'stopped' })
    const others = ['a', 'b', 'c'].filter((id) => id !== leader.id)
    await group.leader(others)
    assert.equal(said, 0)
  })

  it('compacts its log as it applies, and keeps what peers may need', async () => {
    await using group = await Group.start(['a'], { trailingEntries: 100 })
    const leader = await group.leader()
    for (let i = 0; i < 10; i++) await leader.raft.proposeMany(texts(2000).map(bytes))
    await until('the log is compacted', () => leader.disk.base.index > 8000)
    const { baseIndex, lastIndex } = leader.raft.status()
    assert.ok(lastIndex - baseIndex >= 100)
  })

  it('slows down no commit, and fills no memory, while the state machine is slow', async () => {
    await using group = await Group.start(['a'], { maxApplyEntries: 100 })
    const leader = await group.leader()
    const gate = Promise.withResolvers<void>()
    leader.machine.gate = gate.promise
    const answer = leader.raft.proposeMany(texts(1000).map(bytes))
    await until('all is committed', () => leader.raft.status().commitIndex >= 1000)
    assert.equal(leader.machine.applied.length, 0)
    gate.resolve()
    await answer
    assert.deepEqual(leader.machine.texts, texts(1000))
  })

  it('closes storage and transport when it cannot start', async () => {
    const disk = new MemoryDisk()
    disk.faults.push({ file: 'log-1.seg', offset: 64, fromIndex: 7, detail: 'a checksum is wrong' })
    const storage = new MemoryLog(disk)
    const opening = openRaft(
      {
        storage,
        snapshots: new MemorySnapshots(disk),
        transport: new MemoryNetwork().transport('a'),
        stateMachine: new RegisterMachine()
      },
      { id: 'a' }
    )
    await assert.rejects(opening, { name: 'RaftStartError', code: 'log-damaged', message: /entry 7.*log-1\.seg/ })
    assert.equal(storage.closed, true)
  })

  it('closes its log although the transport does not stop', async () => {
    const { storage, raft } = await lone({
      async stop() {
        throw new Error('stuck')
      }
    })
    await assert.rejects(raft.close(), /stuck/)
    assert.equal(storage.closed, true)
  })

  it('halts, and takes nobody with it, when an adapter throws', async () => {
    const { raft, handler } = await lone({
      send() {
        throw new RangeError('cannot be encoded')
      }
    })
    const halted = new Promise<string>((resolve) => raft.on('halt', ({ reason }) => resolve(reason)))
    handler().onMessage('b', { type: 'pre-vote-request', term: 1, lastIndex: 0, lastTerm: 0 })
    assert.match(await halted, /cannot be encoded/)
    await raft.close()
  })

  it('takes no more bytes of the network in one turn than it can hold', async () => {
    const { raft, handler } = await lone({})
    const payload = new Uint8Array(1 << 20)
    let chain = 0
    for (let index = 1; index <= 100; index++) {
      const entry = makeEntry(index, 1, EntryKind.command, payload, chain, checksum)
      const type = 'append-entries-request' as const
      const prev = { prevIndex: index - 1, prevTerm: index === 1 ? 0 : 1, prevChain: chain }
      handler().onMessage('b', { type, term: 1, ...prev, entries: [entry], commitIndex: 0, readPosition: 0 })
      chain = entry.chain
    }
    await until('the first are taken', () => raft.status().lastIndex >= 60)
    await new Promise((resolve) => setImmediate(resolve))
    assert.ok(raft.status().lastIndex <= 64, `${raft.status().lastIndex} were taken`)
    await raft.close()
  })
})

/** A voter of a group whose other member is played by the test. */
async function lone(transport: Partial<Transport>) {
  const storage = new MemoryLog(new MemoryDisk())
  let handler: TransportHandler | undefined
  const silent: Transport = {
    async start(given) {
      handler = given
    },
    setPeers() {},
    send() {},
    fetchManifest: () => Promise.reject(new Error('there is none')),
    fetchChunk: () => Promise.reject(new Error('there is none')),
    async stop() {}
  }
  const raft = await openRaft(
    {
      storage,
      snapshots: new MemorySnapshots(new MemoryDisk()),
      transport: { ...silent, ...transport },
      stateMachine: new RegisterMachine()
    },
    { id: 'a', bootstrap: { voters: ['a', 'b'], outgoing: [], learners: [] } }
  )
  return { storage, raft, handler: () => handler! }
}
