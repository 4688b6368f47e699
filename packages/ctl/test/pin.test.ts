/** Changes of the pinset: what is asked, what is waited for, what is printed. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { assertRun, cid, FakePeer, json, otherCid, peerA, peerB, pinText, refuse, run, statusText } from './harness.ts'

const pinLine = /^Qm\w+ \| docs \| PIN \| Repl\. Factor: 2--3 \| /

describe('pin add', () => {
  it('sends every option, and shows the copies once they have settled', async () => {
    await using peer = await FakePeer.start({
      [`POST /pins/ipfs/${cid}`]: json(pinText()),
      [`GET /pins/${cid}`]: [json(statusText('pinning', 'pin_queued')), json(statusText('pinned', 'pinned'))]
    })
    const before = Date.now()
    const words = `pin add --rmin 2 --rmax 3 -n docs --mode direct --metadata a=b --metadata c=d=e --allocs ${peerA},${peerB} --expire-in 1h ${cid}`
    const { code, out } = await run(peer, words.split(' '))
    assert.equal(code, 0)
    assert.match(out, /alpha {16}: PINNED .*\n.*beta {17}: PINNED/)
    const query = new URL(peer.requests[0]?.split(' ')[1] ?? '', 'http://x').searchParams
    const expireAtMs = Date.parse(query.get('expire-at') ?? '')
    assert.ok(expireAtMs >= before + 3_600_000 && expireAtMs <= Date.now() + 3_600_000)
    query.delete('expire-at')
    assert.deepEqual(Object.fromEntries(query), {
      'replication-min': '2',
      'replication-max': '3',
      name: 'docs',
      mode: 'direct',
      'user-allocations': `${peerA},${peerB}`,
      'meta-a': 'b',
      'meta-c': 'd=e'
    })
    assert.equal(peer.requests.length, 3)
  })

  it('takes paths, options after its argument, and -r for both replication factors', async () => {
    await using peer = await FakePeer.start({ 'POST /pins/ipns/example.org/a%20b': json(pinText()) })
    const { code, out } = await run(peer, ['pin', 'add', '/ipns/example.org/a b/', '-r', '-1', '--ns'])
    assert.equal(code, 0)
    assert.match(out, pinLine)
    assert.deepEqual(peer.requests, ['POST /pins/ipns/example.org/a%20b?replication-min=-1&replication-max=-1'])
  })

  it('waits for as many copies as the pin must have, whatever else fails', async () => {
    await using peer = await FakePeer.start({
      [`POST /pins/ipfs/${cid}`]: json(pinText({ replicationFactorMin: 1 })),
      [`GET /pins/${cid}`]: json(statusText('pinned', 'pin_error', 'disk full'))
    })
    const { code, out } = await run(peer, ['pin', 'add', '--wait', cid])
    assert.equal(code, 0)
    assert.match(out, /PIN_ERROR: disk full/)
  })

  it('ends with 1 and the reason when the copies cannot come about', async () => {
    await using peer = await FakePeer.start({
      [`POST /pins/ipfs/${cid}`]: json(pinText()),
      [`GET /pins/${cid}`]: json(statusText('pinned', 'pin_error', 'disk full'))
    })
    assertRun(await run(peer, ['pin', 'add', '-w', cid]), {
      code: 1,
      err: `error waiting for pin status: 2 of 2 peers should have ${cid} pinned, 1 have, and 1 cannot: beta is in pin_error (disk full)\n`
    })
    assert.equal((await run(peer, ['pin', 'add', '-w', '--wl', '1', cid])).code, 0)
  })

  it('ends with 62 when its wait takes too long, also under a second', async () => {
    await using peer = await FakePeer.start({
      [`POST /pins/ipfs/${cid}`]: json(pinText()),
      [`GET /pins/${cid}`]: json(statusText('pinned', 'pinning'))
    })
    const { code, err } = await run(peer, ['pin', 'add', '--wait', '--wait-timeout', '20ms', cid])
    assert.equal(code, 62)
    assert.match(err, /^error waiting for pin status: .* within 20 ms: context deadline exceeded\n$/)
  })

  it('ends with 125 when it is cancelled', async () => {
    const controller = new AbortController()
    await using peer = await FakePeer.start({
      [`POST /pins/ipfs/${cid}`]: () => controller.abort(new Error('cancelled by SIGINT'))
    })
    assertRun(await run(peer, ['pin', 'add', cid], { signal: controller.signal }), {
      code: 125,
      err: 'error : cancelled by SIGINT\n'
    })
  })

  for (const [words, err] of [
    ['pin add nope', /^error parsing CID or path: invalid path "\/ipfs\/nope": invalid CID "nope"/],
    ['pin add', /^error : "pin add" takes the arguments <CID\|path>, but was given none/],
    [`pin add ${cid} ${cid}`, /was given 2: /],
    [`pin add --rmin x ${cid}`, /^error : option --replication-min must be an integer, not "x"/],
    [`pin add --mode sideways ${cid}`, /--mode must be recursive or direct, not "sideways"/],
    [`pin add --metadata nonsense ${cid}`, /--metadata must be key=value, not "nonsense"/],
    [`pin add --expire-in soon ${cid}`, /^error parsing --expire-in: invalid duration "soon"/],
    [`pin add --expire-in 10ms ${cid}`, /--expire-in must be at least 1s, not 10ms/],
    [`pin add --allocs nobody ${cid}`, /^error parsing --allocations: invalid peer ID "nobody"/],
    [`pin add --nonsense ${cid}`, /nonsense/],
    [`pin add ${cid} --name`, /name/]
  ] as const) {
    it(`refuses "${words.replaceAll(cid, '<CID>')}" before it asks anybody`, async () => {
      await using peer = await FakePeer.start({})
      const result = await run(peer, words.split(' '))
      assert.equal(result.code, 1)
      assert.equal(result.out, '')
      assert.match(result.err, err)
      assert.deepEqual(peer.requests, [])
    })
  }
})

describe('pin rm', () => {
  it('waits until all peers are rid of it', async () => {
    await using peer = await FakePeer.start({
      [`DELETE /pins/ipfs/${cid}`]: json(pinText()),
      [`GET /pins/${cid}`]: json(statusText('unpinned', 'unpinned'))
    })
    const { code, out } = await run(peer, ['pin', 'rm', '--wait', cid])
    assert.equal(code, 0)
    assert.match(out, /UNPINNED.*\n.*UNPINNED/)
  })

  it('prints what the peer refuses on standard output, and ends with 2', async () => {
    await using peer = await FakePeer.start({
      [`DELETE /pins/ipfs/${cid}`]: refuse(404, 'pin is not part of the pinset')
    })
    assertRun(await run(peer, ['pin', 'rm', cid]), {
      code: 2,
      out: 'An error occurred:\n  Code: 404\n  Message: pin is not part of the pinset\n'
    })
    assertRun(await run(peer, ['--enc', 'json', 'pin', 'rm', cid]), {
      code: 2,
      out: '{\n    "code": 404,\n    "message": "pin is not part of the pinset"\n}\n'
    })
  })
})

describe('pin update', () => {
  it('names the pin whose options are taken', async () => {
    await using peer = await FakePeer.start({ [`POST /pins/ipfs/${otherCid}`]: json(pinText({ cid: otherCid })) })
    const { code } = await run(peer, ['pin', 'update', '--no-status', '-n', 'new', cid, otherCid])
    assert.equal(code, 0)
    assert.deepEqual(peer.requests, [`POST /pins/ipfs/${otherCid}?name=new&pin-update=${cid}`])
  })
})
