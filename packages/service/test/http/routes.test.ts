/** Every route of the contract, over a real socket: through the client that ships, and by the byte where the client sees too little. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  ConsensusUnavailableError,
  defaultPinOptions,
  InvalidPinError,
  NoLeaderError,
  PinNotFoundError,
  type TrackerStatus
} from '@quorate/client/api'
import {
  ApiServer,
  cidV0,
  cidV1,
  collect,
  examplePeer,
  examplePin,
  exampleRaftPeer,
  exampleStatus,
  listOf,
  peerA,
  peerB
} from './api-server.ts'

const parse = (text: string): { code: number; message: string } => JSON.parse(text)

describe('the routes of the REST API', () => {
  it('answer the client, and hand its parameters on', async () => {
    await using server = await ApiServer.start()
    const client = server.client()
    assert.deepEqual(await client.id(), examplePeer)
    assert.equal(await client.version(), '1.2.3')
    await client.health()
    assert.deepEqual(
      (await collect(client.peers())).map(({ id }) => id),
      [peerA, peerB]
    )
    assert.deepEqual(await client.peerAdd(peerB), examplePeer)
    await client.peerRemove(peerB)
    assert.deepEqual(await collect(client.peersRaft()), [exampleRaftPeer])
    assert.equal(await client.peersTransfer(), peerA)
    assert.equal(await client.peersTransfer(peerB), peerB)
    assert.equal((await client.pin(cidV1, { name: 'n', mode: 'direct' })).cid, cidV1)
    assert.equal((await client.pin('/ipns/example.org/a b/ü')).cid, cidV1)
    assert.equal((await client.pin(`/ipld/${cidV1}/x`)).cid, cidV1)
    assert.equal((await client.unpin(cidV0)).cid, cidV1)
    assert.equal((await client.unpin('/ipns/example.org')).cid, cidV1)
    assert.deepEqual(await client.allocation(cidV1, { consistency: 'linearizable' }), { pin: examplePin, stale: false })
    assert.equal((await collect(client.allocations({ filter: ['meta-pin'] }))).length, 1)
    assert.deepEqual(await client.status(cidV0, { local: true }), exampleStatus)
    assert.deepEqual(await collect(client.statusAll({ filter: ['pinned'] })), [exampleStatus])
    assert.equal((await collect(client.statusAll({ cids: [cidV0, cidV0, cidV1] }))).length, 3)
    assert.deepEqual(await client.recover(cidV0), exampleStatus)
    assert.deepEqual(await collect(client.recoverAll({ local: true })), [exampleStatus])
    assert.deepEqual((await client.repoGc()).peerMap[peerA]?.keys, [{ key: cidV0, error: '' }])

    assert.deepEqual(server.calls, [
      ['info'],
      ['peers'],
      ['peerAdd', peerB],
      ['peerRemove', peerB],
      ['peersRaft'],
      ['peersTransfer', undefined],
      ['peersTransfer', peerB],
      ['pinPath', `/ipfs/${cidV1}`, { ...defaultPinOptions, name: 'n', mode: 'direct' }],
      ['pinPath', '/ipns/example.org/a b/ü', defaultPinOptions],
      ['pinPath', `/ipld/${cidV1}/x`, defaultPinOptions],
      ['unpinPath', `/ipfs/${cidV0}`],
      ['unpinPath', '/ipns/example.org'],
      ['allocation', cidV1, 'linearizable'],
      ['allocations'],
      ['status', cidV0, { local: true }],
      ['statusAll', { local: false, filter: new Set<TrackerStatus>(['pinned']) }],
      ['status', cidV0, { local: false }],
      ['status', cidV0, { local: false }],
      ['status', cidV1, { local: false }],
      ['recover', cidV0, { local: false }],
      ['recoverAll', { local: true }],
      ['repoGc', { local: false }]
    ])
  })

  it('take a pin in both forms of the path', async () => {
    await using server = await ApiServer.start()
    assert.equal((await server.ask('POST', `/pins/${cidV0}?name=x`)).status, 200)
    assert.equal((await server.ask('POST', `/pins/ipfs/${cidV0}/a%2fb/c%20d`)).status, 200)
    assert.equal((await server.ask('DELETE', `/pins/${cidV0}`)).status, 200)
    assert.deepEqual(server.calls, [
      ['pin', cidV0, { ...defaultPinOptions, name: 'x' }],
      ['pinPath', `/ipfs/${cidV0}/a/b/c d`, defaultPinOptions],
      ['unpin', cidV0]
    ])
  })

  it('tell recover of all from recover of one, and from a pin', async () => {
    await using server = await ApiServer.start()
    await server.ask('POST', '/pins/recover')
    await server.ask('POST', `/pins/${cidV0}/recover?local=true`)
    await server.ask('POST', `/pins/${cidV0}/recover?local=1`)
    assert.deepEqual(server.calls, [
      ['recoverAll', { local: false }],
      ['recover', cidV0, { local: true }],
      ['recover', cidV0, { local: false }]
    ])
  })

  it('answer an object with one line of JSON, and nothing with 204', async () => {
    await using server = await ApiServer.start()
    const version = await server.ask('GET', '/version')
    assert.equal(version.body, '{"version":"1.2.3"}\n')
    assert.equal(version.headers['content-type'], 'application/json')
    const removed = await server.ask('DELETE', `/peers/${peerB}`)
    assert.deepEqual([removed.status, removed.body], [204, ''])
    assert.equal(removed.headers['content-type'], 'application/json')
  })

  it('say so when an allocation may be out of date', async () => {
    await using server = await ApiServer.start({ allocation: async () => ({ pin: examplePin, stale: true }) })
    assert.equal((await server.ask('GET', `/allocations/${cidV1}`)).headers['x-quorate-stale'], 'true')
    assert.equal((await server.client().allocation(cidV1)).stale, true)
  })
})

describe('a mistake in a request', () => {
  const mistakes: [method: string, path: string, message: RegExp][] = [
    ['POST', `/pins/${cidV0}?replication-min=two`, /^parameter replication-min invalid/],
    ['POST', `/pins/${cidV0}?expire-in=10ms`, /^expire-in duration too short/],
    ['POST', `/pins/${cidV0}?origins=/ip4/1.2.3.4/tcp/4001`, /p2p/],
    ['POST', `/pins/ipfs/${cidV0}/a?replication-max=x`, /^parameter replication-max invalid/],
    ['POST', '/pins/nonsense', /^error decoding Cid/],
    ['DELETE', '/pins/nonsense', /^error decoding Cid/],
    ['GET', '/pins/nonsense', /^error decoding Cid/],
    ['GET', '/allocations/nonsense', /^error decoding Cid/],
    ['GET', '/allocations?filter=nonsense', /^invalid filter value/],
    ['GET', `/allocations/${cidV0}?consistency=total`, /^parameter consistency invalid/],
    ['GET', '/pins?filter=nonsense', /^invalid filter value/],
    ['GET', `/pins?cids=${cidV0},nonsense`, /^error decoding Cid/],
    ['POST', '/pins/nonsense/recover', /^error decoding Cid/],
    ['POST', '/pins/ipfs/nonsense/a', /^error parsing path/],
    ['DELETE', '/peers/nonsense', /^error decoding Peer ID/],
    ['GET', '/ipfs/nonsense', /^error parsing path/],
    ['GET', '/pins/%zz', /./],
    ['GET', '/ipfs/%ff', /./],
    ['GET', `/pins/${'x'.repeat(1025)}`, /./]
  ]
  it('is a 400, and nothing is done', async () => {
    await using server = await ApiServer.start()
    for (const [method, path, message] of mistakes) {
      const answer = await server.ask(method, path)
      assert.equal(answer.status, 400, `${method} ${path}: ${answer.body}`)
      assert.equal(answer.headers['content-type'], 'application/json')
      assert.equal(answer.headers['x-quorate-error'], 'bad-request')
      assert.equal(parse(answer.body).code, 400)
      assert.match(parse(answer.body).message, message)
    }
    assert.deepEqual(server.calls, [])
  })

  it('in the body of POST /peers is a 400', async () => {
    await using server = await ApiServer.start()
    for (const body of ['', 'x', '[]', '{}', '{"peer_id":"nonsense"}', '{"peer_id":7}']) {
      for (const type of ['application/json', 'text/plain', undefined]) {
        const headers = type === undefined ? {} : { 'Content-Type': type }
        const answer = await server.ask('POST', '/peers', { body, headers })
        assert.equal(answer.status, 400, `${type}: ${body}`)
        assert.match(parse(answer.body).message, /^error decoding (request body|peer_id)/)
      }
    }
    assert.equal((await server.ask('POST', '/peers', { body: `{"peer_id":"${' '.repeat(70_000)}"}` })).status, 413)
    assert.deepEqual(server.calls, [])
  })

  it('takes bodies of other routes for nothing', async () => {
    await using server = await ApiServer.start()
    for (const type of ['application/json', 'multipart/form-data', 'x/y']) {
      const answer = await server.ask('POST', `/pins/${cidV0}`, { body: '{', headers: { 'Content-Type': type } })
      assert.equal(answer.status, 200, type)
    }
  })
})

describe('a failure of the peer', () => {
  it('becomes its status, its code and its message', async () => {
    const failures: [Error, number, string][] = [
      [new PinNotFoundError(), 404, 'pin-not-found'],
      [new InvalidPinError('cannot repin this'), 500, 'invalid-pin'],
      [new NoLeaderError(), 500, 'no-leader'],
      [new ConsensusUnavailableError(), 503, 'consensus-unavailable'],
      [Object.assign(new Error('far away'), { name: 'RpcRemoteError', code: 'last-peer' }), 500, 'last-peer'],
      [
        Object.assign(new Error('no'), { name: 'RpcRemoteError', code: '', remoteName: 'IpfsRequestError' }),
        500,
        'ipfs-error'
      ],
      [Object.assign(new Error('down'), { name: 'IpfsUnavailableError' }), 500, 'ipfs-unavailable'],
      [Object.assign(new Error('lost'), { name: 'RpcTimeoutError', code: 'timeout' }), 500, 'peer-unreachable'],
      [new TypeError('oops'), 500, 'internal']
    ]
    for (const [failure, status, code] of failures) {
      const fail = async (): Promise<never> => Promise.reject(failure)
      await using server = await ApiServer.start({
        unpin: fail,
        statusAll: async function* () {
          yield await fail()
        }
      })
      for (const [method, path] of [
        ['DELETE', `/pins/${cidV0}`],
        ['GET', '/pins']
      ] as const) {
        const answer = await server.ask(method, path)
        assert.equal(answer.status, status)
        assert.equal(answer.headers['x-quorate-error'], code)
        assert.deepEqual(parse(answer.body), { code: status, message: failure.message })
      }
      assert.equal(server.errors.length, code === 'internal' ? 2 : 0)
    }
  })

  it('without a message gets the one of its code', async () => {
    await using server = await ApiServer.start({ unpin: () => Promise.reject(new AggregateError([])) })
    assert.equal(parse((await server.ask('DELETE', `/pins/${cidV0}`)).body).message, 'internal error')
  })
})

describe('paths that lead nowhere', () => {
  it('are 404 when nobody knows them, 405 when another method does', async () => {
    await using server = await ApiServer.start()
    for (const path of ['/', '/nothing', '/pins/a/b/c', '/health/x', '/idx']) {
      const answer = await server.ask('GET', path)
      assert.deepEqual([answer.status, answer.body], [404, '{"code":404,"message":"not found"}\n'], path)
    }
    for (const [method, path] of [
      ['PUT', '/pins'],
      ['POST', '/id'],
      ['OPTIONS', '/id'],
      ['GET', '/add'],
      ['PATCH', `/pins/${cidV0}`]
    ] as const) {
      const answer = await server.ask(method, path)
      assert.deepEqual([answer.status, answer.body], [405, ''], `${method} ${path}`)
      assert.equal(answer.headers['content-type'], undefined)
    }
    assert.equal((await server.ask('HEAD', '/id')).status, 405)
    assert.deepEqual(server.calls, [])
  })

  it('that end in a slash are sent on, with their query, and never to another host', async () => {
    await using server = await ApiServer.start()
    for (const [path, location] of [
      ['/pins/?local=true', '/pins?local=true'],
      ['/id/', '/id'],
      ['/id///', '/id'],
      ['//example.org/', '/'],
      ['/\\example.org/', '/'],
      ['///', '/']
    ] as const) {
      const answer = await server.ask('GET', path)
      assert.deepEqual([answer.status, answer.headers.location], [307, location], path)
    }
  })
})

describe('a peer that is not ready', () => {
  it('answers who it is, and for the rest says why not', async () => {
    let reason: string | undefined = 'this peer is not ready yet: there is no leader'
    await using server = await ApiServer.start({}, {}, () => reason)
    for (const path of ['/id', '/version', '/peers']) assert.equal((await server.ask('GET', path)).status, 200, path)
    assert.equal((await server.ask('GET', '/health')).status, 204)
    for (const [method, path] of [
      ['GET', '/pins'],
      ['POST', `/pins/${cidV0}`],
      ['GET', `/ipfs/${cidV0}`]
    ] as const) {
      const answer = await server.ask(method, path)
      assert.deepEqual([answer.status, answer.headers['x-quorate-error']], [503, 'not-ready'])
      assert.equal(parse(answer.body).message, reason)
    }
    reason = undefined
    assert.equal((await server.ask('GET', '/pins')).status, 200)
  })
})

describe('the content of a file', () => {
  it('comes as it is, and its path in a header whatever its characters', async () => {
    await using server = await ApiServer.start()
    const answer = await server.ask('GET', `/ipfs/${cidV0}/${encodeURIComponent('日本')}/x%0ay`)
    assert.deepEqual([answer.status, answer.body], [200, 'content'])
    assert.equal(answer.headers['content-type'], 'application/octet-stream')
    assert.equal(answer.headers['x-ipfs-path'], `/ipfs/${cidV0}/${encodeURIComponent('日本')}/x%0Ay`)
    assert.deepEqual(server.calls, [['cat', `/ipfs/${cidV0}/日本/x\ny`]])
  })

  it('may be empty', async () => {
    await using server = await ApiServer.start({ cat: () => listOf() })
    const answer = await server.ask('GET', `/ipfs/${cidV0}`)
    assert.deepEqual([answer.status, answer.body], [200, ''])
  })

  it('breaks the connection off when it fails half way, since there is no other way to tell', async () => {
    await using server = await ApiServer.start({
      cat: async function* () {
        yield Buffer.from('half')
        throw new Error('the block is gone')
      }
    })
    await assert.rejects(server.ask('GET', `/ipfs/${cidV0}`))
    assert.equal(server.errors.length, 1)
  })
})
