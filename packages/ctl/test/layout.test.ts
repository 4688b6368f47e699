/** What each command prints, letter by letter. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  assertRun,
  cid,
  FakePeer,
  ipfsPeer,
  json,
  nothing,
  otherCid,
  peerA,
  peerB,
  pinText,
  run,
  statusText,
  stream
} from './harness.ts'

const idText = JSON.stringify({
  id: peerA,
  addresses: [`/ip4/127.0.0.1/tcp/9096/p2p/${peerA}`, `/ip4/10.0.0.1/tcp/9096/p2p/${peerA}`],
  cluster_peers: [peerA, peerB],
  cluster_peers_addresses: null,
  version: '0.1.0',
  commit: '',
  rpc_protocol_version: '/x',
  error: '',
  ipfs: { id: ipfsPeer, addresses: [`/ip4/127.0.0.1/tcp/4001/p2p/${ipfsPeer}`], error: '' },
  peername: 'alpha'
})

const idLayout = `${peerA} | alpha | Sees 1 other peers
  > Addresses:
    - /ip4/10.0.0.1/tcp/9096/p2p/${peerA}
    - /ip4/127.0.0.1/tcp/9096/p2p/${peerA}
  > IPFS: ${ipfsPeer}
    - /ip4/127.0.0.1/tcp/4001/p2p/${ipfsPeer}
`

describe('what is printed', () => {
  it('by id and version', async () => {
    await using peer = await FakePeer.start({ 'GET /id': json(idText), 'GET /version': json('{"version":"1.1.6"}') })
    assertRun(await run(peer, ['id']), { out: idLayout })
    assertRun(await run(peer, ['version']), { out: '1.1.6\n' })
    assertRun(await run(peer, ['--enc', 'json', 'version']), { out: '{\n    "version": "1.1.6"\n}\n' })
  })

  it('by peers ls, with peers that could not be asked, or whose IPFS could not', async () => {
    const broken = JSON.stringify({ id: peerB, error: 'no answer' })
    const noIpfs = JSON.stringify({ id: peerB, peername: 'beta', cluster_peers: [peerB], ipfs: { error: 'down' } })
    await using peer = await FakePeer.start({ 'GET /peers': stream([idText, broken, noIpfs]) })
    assertRun(await run(peer, ['peers', 'ls']), {
      out:
        `${idLayout}${peerB} | ERROR: no answer\n` +
        `${peerB} | beta | Sees 0 other peers\n  > Addresses:\n  > IPFS ERROR: down\n`
    })
  })

  it('by peers ls in JSON: one document after the other', async () => {
    await using peer = await FakePeer.start({
      'GET /peers': stream([idText, JSON.stringify({ id: peerB, error: 'x' })])
    })
    const { out } = await run(peer, ['--enc=json', 'peers', 'ls'])
    const documents = out.split(/^(?=\{)/m).map((text) => JSON.parse(text))
    assert.deepEqual(
      documents[0],
      JSON.parse(idText.replace('"cluster_peers_addresses":null', '"cluster_peers_addresses":[]'))
    )
    assert.equal(documents[1].addresses, null)
    assert.match(out, /^\{\n {4}"id": /)
  })

  it('by peers raft, with a peer that could not be asked', async () => {
    const leader = {
      ...{ id: peerA, peername: 'alpha', role: 'leader', voice: 'voter', term: 5, leader: peerA },
      ...{ base_index: 100, last_index: 120, durable_index: 120, commit_index: 118, applied_index: 117 },
      ...{ voters: [peerA, peerB], learners: [ipfsPeer], outgoing: [peerA] },
      followers: [
        { id: peerB, state: 'replicate', match_index: 118, next_index: 121, inflight_messages: 2, last_contact_ms: 7 },
        { id: ipfsPeer, state: 'snapshot', match_index: 0, next_index: 1, inflight_messages: 0 }
      ],
      notes: ['level: 2']
    }
    const follower = { id: peerB, peername: 'beta', role: 'follower', voice: 'voter', term: 5, last_index: 3 }
    const broken = { id: ipfsPeer, voice: 'learner', error: 'no answer' }
    await using peer = await FakePeer.start({
      'GET /peers/raft': stream([leader, follower, broken].map((answer) => JSON.stringify(answer)))
    })
    assertRun(await run(peer, ['peers', 'raft']), {
      out: `${peerA} | alpha | LEADER | voter | Term: 5 | Log: 101--120 | Committed: 118 | Applied: 117
  > The membership changes: from ${peerA}
  > Followers:
    - ${peerB} | replicate | 2 behind | 2 in flight | heard 7 ms ago
    - ${ipfsPeer} | snapshot | 120 behind | 0 in flight | not heard
  > level: 2
${peerB} | beta | follower | voter | Term: 5 | Log: 1--3 | Committed: 0 | Applied: 0
  > Leader: none
${ipfsPeer} | learner | ERROR: no answer
`
    })
  })

  it('by peers transfer: who leads', async () => {
    await using peer = await FakePeer.start({ 'POST /peers/transfer': json(`{"leader":"${peerB}"}`) })
    assertRun(await run(peer, ['peers', 'transfer']), { out: `${peerB} leads\n` })
    assertRun(await run(peer, ['--enc', 'json', 'peers', 'transfer', peerB]), {
      out: `{\n    "leader": "${peerB}"\n}\n`
    })
    assert.deepEqual(peer.requests, ['POST /peers/transfer', `POST /peers/transfer?to=${peerB}`])
  })

  it('by peers rm: nothing', async () => {
    await using peer = await FakePeer.start({ [`DELETE /peers/${peerB}`]: nothing })
    assertRun(await run(peer, ['peers', 'rm', peerB]), {})
    assert.deepEqual(peer.requests, [`DELETE /peers/${peerB}`])
  })

  it('by pin ls', async () => {
    const everywhere = pinText({
      cid: otherCid,
      name: '',
      replicationFactorMin: -1,
      replicationFactorMax: -1,
      allocations: [],
      mode: 'direct',
      maxDepth: 0,
      metadata: { a: 'b' },
      expireAtMs: Date.UTC(2030, 0, 2, 3, 4, 5),
      timestampMs: 0
    })
    await using peer = await FakePeer.start({
      'GET /allocations': stream([pinText(), everywhere]),
      [`GET /allocations/${cid}`]: json(pinText())
    })
    const line = `${cid} | docs | PIN | Repl. Factor: 2--3 | Allocations: [${peerA} ${peerB}] | Recursive | Metadata: no | Exp: ∞ | Added: 2026-05-06 07:08:09\n`
    assertRun(await run(peer, ['pin', 'ls']), {
      out: `${line}${otherCid} |  | PIN-DIRECT | Repl. Factor: -1 | Allocations: [everywhere] | Direct | Metadata: yes | Exp: 2030-01-02 03:04:05 | Added: unknown\n`
    })
    assertRun(await run(peer, ['pin', 'ls', cid]), { out: line })
    assert.deepEqual(peer.requests, ['GET /allocations?filter=all', `GET /allocations/${cid}`])
  })

  it('by status, of everything, of one and of some', async () => {
    await using peer = await FakePeer.start({
      'GET /pins': stream([statusText('pinned', 'pin_error', 'disk full')]),
      [`GET /pins/${cid}`]: json(statusText('pinned', 'pinning'))
    })
    assertRun(await run(peer, ['status', '--filter', 'error,pinned']), {
      out:
        `${cid} | docs:\n` +
        '    > alpha                : PINNED | 2026-05-06T07:08:09Z | Attempts: 0 | Priority: true\n' +
        '    > beta                 : PIN_ERROR: disk full | 2026-05-06T07:08:09Z | Attempts: 2 | Priority: false\n'
    })
    const { out } = await run(peer, ['status', '--local', cid])
    assert.match(out, /> beta {17}: PINNING \| /)
    await run(peer, ['status', cid, otherCid])
    assert.deepEqual(peer.requests, [
      'GET /pins?filter=pinned%2Cerror',
      `GET /pins/${cid}?local=true`,
      `GET /pins?cids=${cid}%2C${otherCid}`
    ])
  })

  it('by recover, of everything and of one', async () => {
    await using peer = await FakePeer.start({
      'POST /pins/recover': stream([]),
      [`POST /pins/${cid}/recover`]: json(statusText('pin_queued', 'pinned'))
    })
    assertRun(await run(peer, ['recover']), {})
    const { out } = await run(peer, ['recover', '--local', cid])
    assert.match(out, /> alpha {16}: PIN_QUEUED \| /)
    assert.deepEqual(peer.requests, ['POST /pins/recover', `POST /pins/${cid}/recover?local=true`])
  })

  it('by ipfs gc', async () => {
    const gc = {
      peer_map: {
        [peerB]: { peer: peerB, peername: 'beta', keys: null, error: 'no answer' },
        [peerA]: { peer: peerA, peername: 'alpha', keys: [{ key: cid }, { key: null, error: 'locked' }] }
      }
    }
    await using peer = await FakePeer.start({ 'POST /ipfs/gc': json(JSON.stringify(gc)) })
    assertRun(await run(peer, ['ipfs', 'gc']), {
      out: `alpha          \n  > CIDs:\n    - ${cid}\n    - ERROR: locked\nbeta            | ERROR: no answer\n  > CIDs:\n`
    })
  })

  it('never with the control characters of what somebody named', async () => {
    await using peer = await FakePeer.start({ 'GET /allocations': stream([pinText({ name: '\u001b[2Jx\n' })]) })
    const { out } = await run(peer, ['pin', 'ls'])
    assert.ok(out.startsWith(`${cid} | \\x1b[2Jx\\x0a | PIN`))
  })
})
