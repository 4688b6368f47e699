/** Lists by the line: framing, trailers, slow and vanishing readers, the end of the server; and what stands before every route. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { GlobalPinInfo } from '@quorate/client/api'
import { ApiServer, cidV0, collect, exampleStatus, listOf, peerA } from './api-server.ts'

/** A list that waits for the signal after its items, and ends with its reason. */
async function* untilAborted(
  signal: AbortSignal | undefined,
  ...items: GlobalPinInfo[]
): AsyncGenerator<GlobalPinInfo> {
  yield* items
  if (signal?.aborted !== true) await new Promise((resolve) => signal?.addEventListener('abort', resolve))
  throw signal?.reason
}

describe('a list', () => {
  it('is one document a line, with an announced trailer that is empty when all went well', async () => {
    await using server = await ApiServer.start({ statusAll: () => listOf(exampleStatus, exampleStatus) })
    const answer = await server.ask('GET', '/pins')
    assert.equal(answer.status, 200)
    assert.equal(answer.headers['content-type'], 'application/json')
    assert.equal(answer.headers.trailer, 'X-Stream-Error')
    assert.equal(answer.headers['transfer-encoding'], 'chunked')
    assert.deepEqual(answer.trailers, { 'x-stream-error': '' })
    const lines = answer.body.split('\n')
    assert.equal(lines.length, 3)
    assert.equal(lines[2], '')
    assert.equal(JSON.parse(lines[0]!).cid, cidV0)
  })

  it('without items is 200 with an empty body', async () => {
    await using server = await ApiServer.start({ statusAll: () => listOf() })
    const answer = await server.ask('GET', '/pins')
    assert.deepEqual([answer.status, answer.body, answer.trailers], [200, '', { 'x-stream-error': '' }])
    assert.deepEqual(await collect(server.client().statusAll()), [])
  })

  it('that fails after its first item says so in the trailer, in characters that a trailer takes', async () => {
    for (const [message, trailer] of [
      ['two\r\nlines – and a dash', 'two lines and a dash'],
      ['', 'internal error'],
      ['ошибка', 'internal error'],
      ['x'.repeat(100_000), 'x'.repeat(2_000)]
    ] as const) {
      await using server = await ApiServer.start({
        statusAll: async function* () {
          yield exampleStatus
          throw new Error(message)
        }
      })
      const answer = await server.ask('GET', '/pins')
      assert.equal(answer.status, 200)
      assert.deepEqual(answer.trailers, { 'x-stream-error': trailer })
      await assert.rejects(collect(server.client().statusAll()), { message: trailer })
      assert.equal(server.errors.length, 2)
    }
  })

  it('goes to a client of HTTP/1.0 without a trailer, and breaks off if it fails', async () => {
    let fail = false
    await using server = await ApiServer.start({
      statusAll: async function* () {
        yield exampleStatus
        if (fail) throw new Error('half way')
      }
    })
    const answer = await server.askRaw('GET /pins HTTP/1.0\r\n\r\n')
    assert.match(answer, /^HTTP\/1.1 200 OK\r\n/)
    assert.doesNotMatch(answer, /trailer/i)
    assert.match(answer, /\}\n$/)
    fail = true
    await server.askRaw('GET /pins HTTP/1.0\r\n\r\n').then(
      (text) => assert.doesNotMatch(text, /\}\n$/),
      (error) => assert.equal(error.code, 'ECONNRESET')
    )
  })

  it('is not read faster than its reader takes it', async () => {
    const big = { ...exampleStatus, name: 'x'.repeat(10_000) }
    let given = 0
    const { promise: returned, resolve: onReturn } = Promise.withResolvers<void>()
    await using server = await ApiServer.start({
      statusAll: async function* () {
        try {
          for (;;) {
            // Each in a turn of its own, as rows of a store come.
            await new Promise((resolve) => setImmediate(resolve))
            given++
            yield big
          }
        } finally {
          onReturn()
        }
      }
    })
    const socket = connect(server.port, '127.0.0.1')
    socket.pause()
    socket.write('GET /pins HTTP/1.1\r\nHost: x\r\n\r\n')
    // At rest: as many turns pass without an item as would have brought hundreds.
    for (let seen = -1, quiet = 0; quiet < 300; ) {
      await new Promise((resolve) => setImmediate(resolve))
      quiet = given === seen ? quiet + 1 : 0
      seen = given
      assert.ok(given < 5_000, 'the list runs on although nobody reads')
    }
    assert.ok(given > 0)
    socket.destroy()
    await returned
  })

  it('ends when its reader goes away, and nothing is logged', async () => {
    const { promise: ended, resolve: onEnd } = Promise.withResolvers<void>()
    await using server = await ApiServer.start({
      statusAll: async function* (_options, call) {
        try {
          yield* untilAborted(call?.signal, exampleStatus)
        } finally {
          onEnd()
        }
      }
    })
    const request = httpRequest({ port: server.port, path: '/pins' }).end()
    const [response] = await once(request, 'response')
    await once(response, 'data')
    response.destroy()
    await ended
    assert.deepEqual(server.errors, [])
  })

  it('that is open when the server stops ends with the reason, and the server with it', async () => {
    const server = await ApiServer.start({ statusAll: (_options, call) => untilAborted(call?.signal, exampleStatus) })
    const warnings: Error[] = []
    const onWarning = (warning: Error): void => void warnings.push(warning)
    process.on('warning', onWarning)
    const readers = Array.from({ length: 30 }, () => collect(server.client().statusAll()))
    const outcomes = Promise.allSettled(readers)
    while (server.calls.length < 30) await new Promise((resolve) => setImmediate(resolve))
    await server.api.stop()
    for (const outcome of await outcomes) {
      assert.equal(outcome.status, 'rejected')
      assert.match(outcome.reason.message, /the peer is shutting down/)
    }
    process.off('warning', onWarning)
    assert.deepEqual(warnings, [])
    await assert.rejects(server.client().version(), { name: 'TransportError' })
  })

  it('that does not look at its signal does not hold up the end of the server', async () => {
    const server = await ApiServer.start({
      statusAll: async function* () {
        yield exampleStatus
        await new Promise(() => undefined)
      }
    })
    const request = httpRequest({ port: server.port, path: '/pins' }).end()
    const [response] = await once(request, 'response')
    response.resume()
    const closed = once(response, 'error')
    await server.api.stop()
    await closed
  })
})

describe('before every route', () => {
  const basic = (text: string): { headers: { Authorization: string } } => ({
    headers: { Authorization: `Basic ${Buffer.from(text).toString('base64')}` }
  })

  it('credentials are asked for, but not of /health and of preflight requests', async () => {
    await using server = await ApiServer.start(
      {},
      { basicAuthCredentials: { ada: 'secret:word', empty: '', constructor_: 'x' } }
    )
    const none = await server.ask('GET', '/id', { headers: { Origin: 'http://example.org' } })
    assert.equal(none.status, 401)
    assert.equal(none.headers['www-authenticate'], 'Basic realm="Restricted IPFS Cluster API"')
    assert.equal(none.headers['access-control-allow-origin'], undefined)
    assert.deepEqual(JSON.parse(none.body), { code: 401, message: 'unauthorized: no auth provided' })
    for (const wrong of ['ada:secret', 'ada:', 'bob:secret:word', 'empty:', ':', '', '__proto__:x', 'constructor:x']) {
      const answer = await server.ask('GET', '/id', basic(wrong))
      assert.equal(answer.status, 401, wrong)
      assert.equal(JSON.parse(answer.body).message, 'unauthorized: access denied')
    }
    assert.equal((await server.ask('GET', '/id', { headers: { Authorization: 'Basic !' } })).status, 401)
    for (const path of ['/id/', '/nothing', '/health/', '/health/../id'])
      assert.equal((await server.ask('GET', path)).status, 401, path)
    assert.equal((await server.ask('POST', '/health')).status, 401)
    assert.deepEqual(server.calls, [])

    assert.equal((await server.ask('GET', '/id', basic('ada:secret:word'))).status, 200)
    assert.equal((await server.ask('GET', '/health?x')).status, 204)
    assert.equal(
      (await server.ask('OPTIONS', '/id', { headers: { 'Access-Control-Request-Method': 'GET' } })).status,
      204
    )
    assert.equal((await server.client({ basicAuth: 'ada:secret:word' }).id()).id, peerA)
  })

  it('CORS answers preflight requests, also of paths that nobody knows', async () => {
    await using server = await ApiServer.start({}, { corsAllowedMethods: ['GET', 'POST'], corsMaxAgeMs: 60_000 })
    const ask = (method: string, headers = {}) =>
      server.ask('OPTIONS', '/pins/x', {
        headers: { Origin: 'http://example.org', 'Access-Control-Request-Method': method, ...headers }
      })
    const allowed = await ask('POST', { 'Access-Control-Request-Headers': 'Content-Type, x-requested-with' })
    assert.equal(allowed.status, 204)
    const { date: _date, connection: _connection, 'keep-alive': _keepAlive, ...headers } = allowed.headers
    assert.deepEqual(headers, {
      vary: 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers',
      'access-control-allow-origin': '*',
      'access-control-allow-credentials': 'true',
      'access-control-allow-methods': 'POST',
      'access-control-allow-headers': 'Content-Type, x-requested-with',
      'access-control-max-age': '60'
    })
    for (const refused of [await ask('DELETE'), await ask('GET', { 'Access-Control-Request-Headers': 'x-other' })]) {
      assert.equal(refused.status, 204)
      assert.equal(refused.headers['access-control-allow-origin'], undefined)
      assert.match(refused.headers.vary ?? '', /^Origin, /)
    }
  })

  it('CORS marks answers to allowed origins, errors and lists too', async () => {
    await using server = await ApiServer.start({}, { corsAllowedOrigins: ['https://*.example.org', 'http://a'] })
    for (const [origin, allowed] of [
      ['https://x.EXAMPLE.org', true],
      ['http://a', true],
      ['https://.example.org', true],
      ['https://example.org', false],
      ['http://ab', false],
      ['null', false]
    ] as const) {
      for (const path of ['/id', '/pins', '/nothing', '/pins/nonsense']) {
        const answer = await server.ask('GET', path, { headers: { Origin: origin } })
        assert.equal(answer.headers['access-control-allow-origin'], allowed ? origin : undefined, `${origin} ${path}`)
        assert.match(answer.headers.vary ?? '', /Origin/)
        if (allowed) assert.match(answer.headers['access-control-expose-headers'] ?? '', /X-Chunked-Output/)
      }
    }
    const post = await server.ask('POST', `/pins/${cidV0}`, { headers: { Origin: 'http://a' } })
    assert.deepEqual([post.status, post.headers['access-control-allow-origin']], [200, undefined])
  })

  it('configured headers are added to every answer', async () => {
    await using server = await ApiServer.start({}, { headers: { 'X-A': ['1', '2'], 'X-B': ['b'] } })
    for (const path of ['/id', '/pins', '/health', '/nothing', '/pins/nonsense', '/id/']) {
      const { headers } = await server.ask('GET', path)
      assert.deepEqual([headers['x-a'], headers['x-b']], ['1, 2', 'b'], path)
    }
  })

  it('the access log gets a line about each request, refused ones and lists too', async (context) => {
    const folder = await mkdtemp(join(tmpdir(), 'quorate-http-'))
    context.after(() => rm(folder, { recursive: true, force: true }))
    const httpLogFile = join(folder, 'access.log')
    const server = await ApiServer.start({}, { httpLogFile })
    await server.ask('GET', '/version')
    await server.ask('GET', '/pins?local=true')
    await server.ask('DELETE', '/pins/nonsense')
    await server.api.stop()
    const lines = (await readFile(httpLogFile, 'utf8')).split('\n')
    assert.equal(lines.pop(), '')
    const line = (request: string): RegExp =>
      new RegExp(
        `^127\\.0\\.0\\.1 - - \\[\\d\\d/[A-Z][a-z]{2}/\\d{4}:\\d\\d:\\d\\d:\\d\\d \\+0000\\] "${request} HTTP/1\\.1" `
      )
    assert.equal(lines.length, 3)
    assert.match(lines[0]!, line('GET /version'))
    assert.match(lines[0]!, / 200 20$/)
    assert.match(lines[1]!, line('GET /pins\\?local=true'))
    assert.match(lines[1]!, / 200 -$/)
    assert.match(lines[2]!, / 400 \d+$/)
  })

  it('an access log that cannot be written is reported, and nothing else fails', async () => {
    const server = await ApiServer.start({}, { httpLogFile: '/nonexistent/access.log' })
    assert.equal((await server.ask('GET', '/version')).status, 200)
    assert.equal(server.errors.length, 1)
    await server.api.stop()
  })

  it('a request that comes on an open connection while the server stops is told so', async () => {
    const server = await ApiServer.start()
    const socket = connect(server.port, '127.0.0.1').setEncoding('latin1')
    // The answer to the first says that the beginning of the second has arrived too.
    socket.write('GET /version HTTP/1.1\r\nHost: a\r\n\r\nGET /version HTTP/1.1\r\nHost: a\r\n')
    const [first] = await once(socket, 'data')
    assert.match(first, /^HTTP\/1.1 200 /)
    const stopped = server.api.stop()
    socket.write('\r\n')
    let answer = ''
    for await (const chunk of socket) answer += chunk
    assert.match(
      answer,
      /^HTTP\/1.1 503 [\s\S]*\r\nx-quorate-error: shutting-down\r\n[\s\S]*"the peer is shutting down"/i
    )
    await stopped
  })

  it('a header beyond the limit is a 431, and what is not HTTP a 400', async () => {
    await using server = await ApiServer.start()
    const large = await server.ask('GET', '/id', { headers: { 'X-Large': 'x'.repeat(10_000) } })
    assert.equal(large.status, 431)
    assert.equal(JSON.parse(large.body).code, 431)
    assert.equal((await server.ask('GET', '/id', { headers: { 'X-Large': 'x'.repeat(4_000) } })).status, 200)
    assert.match(await server.askRaw('nonsense\r\n\r\n'), /^HTTP\/1.1 400 Bad Request\r\n/)
  })

  it('connections beyond the limit are closed at once, which the log tells once', async () => {
    await using server = await ApiServer.start({}, {}, undefined, 2)
    const sockets = [1, 2].map(() => connect(server.port, '127.0.0.1'))
    try {
      await Promise.all(sockets.map((socket) => once(socket, 'connect')))
      // Either end may be the first to see it.
      for (let tries = 0; tries < 2; tries++)
        await assert.rejects(server.ask('GET', '/id'), /ECONNRESET|socket hang up/)
      assert.deepEqual(server.warnings, ['too many connections to the REST API: new ones are closed'])
    } finally {
      for (const socket of sockets) socket.destroy()
    }
  })

  it('a listener that cannot be opened closes those that are', async () => {
    // One that stayed open would keep this file from ending.
    await using other = await ApiServer.start()
    await assert.rejects(
      ApiServer.start({}, { httpListenMultiaddress: ['/ip4/127.0.0.1/tcp/0', `/ip4/127.0.0.1/tcp/${other.port}`] }),
      /Cannot serve the REST API on \/ip4\/127.0.0.1\/tcp\/\d+: .*EADDRINUSE/
    )
    await assert.rejects(
      ApiServer.start({}, { sslCertFile: '/nonexistent/cert.pem', sslKeyFile: '/nonexistent/key.pem' }),
      /Cannot serve the REST API on .*ENOENT/
    )
  })
})
