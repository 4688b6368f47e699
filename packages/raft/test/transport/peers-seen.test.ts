/** Whose disk holds less than it promised (T35), and the names of lives (T34). */

import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import type { Message } from '../../src/core/messages.ts'
import { countBoot } from '../../src/storage/boot-counter.ts'
import type { Life } from '../../src/transport/hello.ts'
import { isNameOf, nodeNameOf, peerOf } from '../../src/transport/node-name.ts'
import { PeersSeen } from '../../src/transport/peers-seen.ts'
import { openSeenFile } from '../../src/transport/seen-file.ts'

const life = (more: Partial<Life> = {}): Life => ({ boot: 3, bootId: 'a'.repeat(16), term: 4, lastIndex: 50, ...more })
const next = (more: Partial<Life> = {}): Life => life({ boot: 4, bootId: 'b'.repeat(16), ...more })

const acknowledged = (term: number, index: number): Message =>
  ({
    type: 'append-entries-response',
    term,
    success: true,
    index,
    hintIndex: 0,
    hintTerm: 0,
    readPosition: 0
  }) as unknown as Message

async function folder(context: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'quorate-seen-'))
  context.after(() => rm(path, { recursive: true, force: true }))
  return path
}

describe('a name', () => {
  it('is a peer ID, alone or with an incarnation, and leads back to the peer', () => {
    const name = nodeNameOf('12D3KooW', '00ff00ff')
    assert.equal(name, '12D3KooW#00ff00ff')
    for (const own of [name, '12D3KooW']) {
      assert.equal(peerOf(own), '12D3KooW')
      assert.ok(isNameOf(own, '12D3KooW'))
    }
    for (const other of ['12D3Koo', '12D3KooW#', '12D3KooW#XY', '12D3KooW#00ff00f', 'x#00ff00ff', `${name}#00ff00ff`]) {
      assert.ok(!isNameOf(other, '12D3KooW'), other)
    }
    assert.throws(() => nodeNameOf('12D3KooW', 'not hex'), RangeError)
  })
})

describe('a peer that says hello', () => {
  const rows: [fact: string, heard: Message[], again: Life, objection: RegExp | undefined][] = [
    ['is the one seen when its stream only broke', [acknowledged(9, 99)], life(), undefined],
    ['is the one seen when it was restarted', [], next(), undefined],
    [
      'is not, when an earlier start comes back',
      [],
      life({ boot: 2, bootId: 'c'.repeat(16) }),
      /^start 2 of x comes after start 3/
    ],
    [
      'is not, when another start has the same count',
      [],
      life({ bootId: 'c'.repeat(16) }),
      /^start 3 of x comes after start 3/
    ],
    [
      'is not, when its term has fallen',
      [acknowledged(7, 60)],
      next({ term: 6 }),
      /^x has term 6 on disk, and spoke in term 7/
    ],
    [
      'is not, when it lost what it acknowledged in the term that it still has',
      [acknowledged(4, 60)],
      next({ lastIndex: 59 }),
      /^x has 59 entries on disk, and acknowledged 60 in term 4/
    ],
    ['is, when it has all that it acknowledged', [acknowledged(4, 60)], next({ lastIndex: 60 }), undefined],
    ['may have been cut by a later leader', [acknowledged(4, 60)], next({ term: 5, lastIndex: 10 }), undefined],
    [
      'is believed no promise by a message that makes none',
      [{ type: 'pre-vote-request', term: 99, lastIndex: 0, lastTerm: 0 } as unknown as Message],
      next(),
      undefined
    ]
  ]
  for (const [fact, heard, again, objection] of rows) {
    it(fact, () => {
      const seen = new PeersSeen()
      assert.equal(seen.objection('x', life()), undefined)
      const record = seen.met('x', life())
      for (const message of heard) seen.heard(record, message)
      const answer = seen.objection('x', again)
      if (objection === undefined) assert.equal(answer, undefined)
      else assert.match(answer ?? '', objection)
      assert.equal(seen.objection('x#00ff00ff', again), undefined, 'another life of it is a stranger')
    })
  }

  it('is refused for good once a leader saw that it lost its log', () => {
    const seen = new PeersSeen()
    seen.met('x', life())
    seen.condemn('x', 'it lost its log')
    assert.equal(seen.objection('x', next({ term: 100, lastIndex: 1000 })), 'it lost its log')
  })

  it('is remembered in what was acknowledged to the latest leader', () => {
    const seen = new PeersSeen()
    const record = seen.met('x', life())
    for (const [term, index] of [
      [5, 80],
      [6, 20],
      [5, 90]
    ] as const)
      seen.heard(record, acknowledged(term, index))
    assert.deepEqual([record.term, record.matchTerm, record.matchIndex], [6, 6, 20])
  })

  it('does not make the table grow without end', () => {
    const seen = new PeersSeen()
    for (let i = 0; i < 3000; i++) seen.met(`x${i}`, life())
    assert.equal([...seen.entries()].length, 1024)
    assert.ok(seen.knowsPeer('x2999') && !seen.knowsPeer('x0'))
  })
})

describe('the table of peers', () => {
  it('outlives a restart, and is empty when its file is damaged', async (context) => {
    const path = join(await folder(context), 'seen.json')
    const first = await openSeenFile(path)
    first.seen.heard(first.seen.met('x', life()), acknowledged(4, 60))
    first.seen.met('y', life())
    first.seen.condemn('y', 'lost')
    await first.close()
    const second = await openSeenFile(path)
    assert.deepEqual([...second.seen.entries()], [...first.seen.entries()])
    await second.close()
    const bytes = await readFile(path)
    bytes[bytes.length >> 1]! ^= 1
    await writeFile(path, bytes)
    const third = await openSeenFile(path)
    assert.deepEqual([...third.seen.entries()], [])
    await third.close()
  })
})

describe('a table of peers that could not be written', () => {
  it('is written when it can be, though nothing changed since', async (context) => {
    const path = join(await folder(context), 'later', 'seen.json')
    const file = await openSeenFile(path)
    file.seen.met('x', life())
    await file.close()
    await mkdir(dirname(path))
    await file.close()
    const again = await openSeenFile(path)
    assert.deepEqual([...again.seen.entries()], [...file.seen.entries()])
    await again.close()
  })
})

describe('the count of starts', () => {
  it('rises by one with each, and no two starts are alike', async (context) => {
    const path = await folder(context)
    const lives = [
      await countBoot(path, { term: 0, lastIndex: 0 }),
      await countBoot(path, { term: 2, lastIndex: 9 }),
      // Cut by another leader.
      await countBoot(path, { term: 3, lastIndex: 5 })
    ].map((started) => (typeof started === 'string' ? assert.fail(started) : started))
    assert.deepEqual(
      lives.map(({ boot }) => boot),
      [1, 2, 3]
    )
    assert.equal(new Set(lives.map(({ bootId }) => bootId)).size, 3)
    assert.deepEqual([lives[2]!.term, lives[2]!.lastIndex], [3, 5])
  })

  it('tells that the log beside it was put back or lost', async (context) => {
    const path = await folder(context)
    await countBoot(path, { term: 2, lastIndex: 9 })
    const answer = await countBoot(path, { term: 1, lastIndex: 9 })
    assert.match(String(answer), /^its term on disk is 1, and it was 2 when the node was started last/)
    assert.equal(((await countBoot(path, { term: 2, lastIndex: 9 })) as Life).boot, 2, 'nothing was counted')
  })

  it('begins anew when its file is damaged: the peers know a higher one', async (context) => {
    const path = await folder(context)
    await countBoot(path, { term: 2, lastIndex: 9 })
    await writeFile(join(path, 'boot.json'), 'nonsense')
    assert.equal(((await countBoot(path, { term: 1, lastIndex: 9 })) as Life).boot, 1)
  })
})
