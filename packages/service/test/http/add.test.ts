/** Uploads over a real socket: what becomes of the parts of a form, and of answers, failures and clients in the middle of one. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type ClientRequest, request as httpRequest } from 'node:http'
import { describe, it } from 'node:test'
import { defaultAddOptions } from '@quorate/client'
import type { AddedOutput } from '@quorate/client/api'
import type { AddEntry } from '../../src/ports.ts'
import { ApiServer, cidV0, collect } from './api-server.ts'

const output = (name: string, bytes = 0): AddedOutput => ({ name, cid: cidV0, bytes, size: 1, allocations: [] })

async function textOf(entry: AddEntry): Promise<string> {
  return Buffer.concat(await collect(entry.content)).toString()
}

/** Answers each entry with its path, its kind and its content. */
async function* tell(files: AsyncIterable<AddEntry>): AsyncGenerator<AddedOutput> {
  for await (const entry of files) yield output(`${entry.type} ${entry.path}: ${await textOf(entry)}`)
}

interface RawPart {
  readonly filename?: string
  readonly type?: string
  readonly content?: string
  /** Instead of the usual one. */
  readonly disposition?: string
}

function form(...parts: RawPart[]): string {
  const texts = parts.map(({ filename, type, content = '', disposition }) => {
    const name = filename === undefined ? '' : `; filename="${filename}"`
    return (
      `--b\r\nContent-Disposition: ${disposition ?? `form-data; name="file"${name}`}\r\n` +
      `${type === undefined ? '' : `Content-Type: ${type}\r\n`}\r\n${content}\r\n`
    )
  })
  return `${texts.join('')}--b--\r\n`
}

const multipart = { 'Content-Type': 'multipart/form-data; boundary=b' }

async function names(server: ApiServer, ...parts: RawPart[]): Promise<string[]> {
  const answer = await server.ask('POST', '/add', { headers: multipart, body: form(...parts) })
  assert.equal(answer.trailers['x-stream-error'], '')
  return answer.body
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line).name)
}

/** Begins an upload that the test goes on with. */
function begin(server: ApiServer, query = ''): ClientRequest {
  const request = httpRequest({ port: server.port, method: 'POST', path: `/add${query}`, headers: multipart })
  request.on('error', () => undefined)
  request.flushHeaders()
  return request
}

const partHead = (filename: string): string =>
  `--b\r\nContent-Disposition: form-data; name="file"; filename="${filename}"\r\n\r\n`

describe('the parts of an upload', () => {
  it('are files, directories and symbolic links, in their order', async () => {
    await using server = await ApiServer.start({ add: tell })
    const added = await collect(
      server.client().add([
        { path: 'd', type: 'directory' },
        { path: 'd/a b+c%.txt', content: 'one' },
        { path: 'd/sub/ü', content: '' },
        { path: 'd/l', type: 'symlink', content: '../x' },
        { path: '', content: 'two' }
      ])
    )
    assert.deepEqual(
      added.map(({ name }) => name),
      ['directory d: ', 'file d/a b+c%.txt: one', 'file d/sub/ü: ', 'symlink d/l: ../x', 'file : two']
    )
    assert.deepEqual(server.calls[0]?.slice(2), [{ ...defaultAddOptions, rawLeaves: false }])
  })

  it('have names that are escaped as in a query, and cannot lead out of the upload', async () => {
    await using server = await ApiServer.start({ add: tell })
    const paths: [string, string][] = [
      ['a%2Fb.txt', 'a/b.txt'],
      ['a+b', 'a b'],
      ['a%2Bb', 'a+b'],
      ['100%', '100%'],
      ['a%252Fb', 'a%2Fb'],
      ['../../etc/passwd', 'etc/passwd'],
      ['a%2F..%2F..%2Fb', 'b'],
      ['/absolute/x', 'absolute/x'],
      ['//x//y/', 'x/y'],
      ['./x/.', 'x'],
      ['..', ''],
      ['a?mode=0644&mtime=1', 'a'],
      ['a%3Fmode=0644', 'a?mode=0644'],
      ['ü', 'ü'],
      ['C:%5Cx', 'C:\\x'],
      ['__proto__', '__proto__'],
      ['x'.repeat(4096), 'x'.repeat(4096)]
    ]
    const parts = paths.map(([filename]) => ({ filename }))
    assert.deepEqual(
      await names(server, ...parts),
      paths.map(([, path]) => `file ${path}: `)
    )
  })

  it('with a name that is no path end the upload', async () => {
    await using server = await ApiServer.start({ add: tell })
    for (const filename of ['a%00b', 'x'.repeat(4097)]) {
      const body = form({ filename: 'first', content: '1' }, { filename }, { filename: 'last' })
      const answer = await server.ask('POST', '/add?stream-channels=false', { headers: multipart, body })
      assert.equal(answer.status, 400)
      assert.match(JSON.parse(answer.body).message, /^the name of an uploaded file is not a path: "/)
      const streamed = await server.ask('POST', '/add', { headers: multipart, body })
      assert.match(streamed.body, /file first: 1/)
      assert.doesNotMatch(streamed.body, /last/)
      assert.match(streamed.trailers['x-stream-error'] ?? '', /is not a path/)
    }
  })

  it('are recognised by their file name, whatever their name, type and order of headers', async () => {
    await using server = await ApiServer.start({ add: tell })
    assert.deepEqual(
      await names(
        server,
        { filename: 'a', type: 'application/octet-stream', content: '1' },
        { filename: 'b', type: 'text/plain; charset=utf-8', content: '2' },
        { filename: 'd', type: 'application/x-directory' },
        { filename: 'e', type: 'multipart/form-data' },
        { filename: 'l', type: 'application/symlink', content: 't' },
        { disposition: 'form-data; name="file?mode=0644"; filename="f"', content: '3' },
        { disposition: 'form-data; filename="g"', content: '4' },
        { disposition: 'form-data; name="a field"', content: 'passed over' },
        { filename: 'last' }
      ),
      [
        'file a: 1',
        'file b: 2',
        'directory d: ',
        'directory e: ',
        'symlink l: t',
        'file f: 3',
        'file g: 4',
        'file last: '
      ]
    )
  })

  it('that are not read to their end are passed over', async () => {
    await using server = await ApiServer.start({
      add: async function* (files) {
        for await (const entry of files) {
          if (entry.path === 'partly') for await (const _chunk of entry.content) break
          yield output(entry.path === 'last' ? await textOf(entry) : entry.path)
        }
      }
    })
    const content = 'x'.repeat(1_000_000)
    assert.deepEqual(
      await names(
        server,
        { filename: 'not', content },
        { filename: 'partly', content },
        { filename: 'last', content: 'end' }
      ),
      ['not', 'partly', 'end']
    )
  })
})

describe('the answer to an upload', () => {
  it('is a line for each output, or one array', async () => {
    await using server = await ApiServer.start({ add: tell })
    const body = form({ filename: 'a', content: '1' })
    const streamed = await server.ask('POST', '/add', { headers: multipart, body })
    assert.equal(streamed.status, 200)
    assert.equal(streamed.headers['content-type'], 'application/json')
    assert.equal(streamed.headers['cache-control'], 'no-cache')
    assert.equal(streamed.headers['x-chunked-output'], '1')
    assert.equal(streamed.headers.trailer, 'X-Stream-Error')
    assert.match(streamed.body, /^\{"name":"file a: 1",.*\}\n$/)

    const array = await server.ask('POST', '/add?stream-channels=false', { headers: multipart, body })
    assert.equal(array.status, 200)
    assert.equal(array.headers['x-chunked-output'], undefined)
    assert.match(array.body, /^\[\{"name":"file a: 1",.*\}\]\n$/)
    const client = server.client()
    assert.deepEqual(
      (await collect(client.add([{ path: 'a', content: '1' }], { streamChannels: false })))[0]?.name,
      'file a: 1'
    )
    const nothing = await server.ask('POST', '/add?stream-channels=false', { headers: multipart, body: '--b--\r\n' })
    assert.equal(nothing.body, 'null\n')
  })

  it('comes while the upload goes on', async () => {
    await using server = await ApiServer.start({ add: tell })
    const request = begin(server)
    // The status comes before any content.
    const [response] = await once(request, 'response')
    request.write(`${partHead('a')}one\r\n${partHead('b')}`)
    const [line] = await once(response, 'data')
    assert.match(String(line), /file a: one/)
    request.end('two\r\n--b--\r\n')
    let rest = ''
    for await (const chunk of response) rest += chunk
    assert.match(rest, /file b: two/)
  })

  it('is a 400 to what is no form, and nothing is called', async () => {
    await using server = await ApiServer.start({ add: tell })
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data',
      'multipart/mixed; boundary=b',
      undefined
    ]) {
      const headers = type === undefined ? {} : { 'Content-Type': type }
      const answer = await server.ask('POST', '/add', { headers, body: 'x' })
      assert.equal(answer.status, 400, type)
      assert.match(JSON.parse(answer.body).message, /^request Content-Type isn't multipart\/form-data/)
    }
    const unnamed = { 'Content-Type': 'multipart/form-data; charset=utf-8' }
    assert.equal((await server.ask('POST', '/add', { headers: unnamed, body: form() })).status, 400)
    for (const query of [
      'layout=round',
      'format=zip',
      'progress=perhaps',
      'cid-version=x',
      'replication-min=x',
      'expire-in=1'
    ]) {
      const answer = await server.ask('POST', `/add?${query}`, { headers: multipart, body: form({ filename: 'a' }) })
      assert.equal(answer.status, 400, query)
    }
    assert.deepEqual(server.calls, [])
  })

  it('to a malformed form is an error, and never looks complete', async () => {
    await using server = await ApiServer.start({ add: tell })
    for (const body of [
      '',
      'no form at all',
      '--b\r\n',
      `${partHead('a')}cut off`,
      `${partHead('a')}whole\r\n--b\r\nContent-Disposition: form-data; filename="b"`,
      `${partHead('a')}whole\r\n--other--\r\n`
    ]) {
      const array = await server.ask('POST', '/add?stream-channels=false', { headers: multipart, body })
      assert.equal(array.status, 400, JSON.stringify(body))
      assert.match(JSON.parse(array.body).message, /^the upload could not be read: /)
      const streamed = await server.ask('POST', '/add', { headers: multipart, body })
      assert.match(streamed.trailers['x-stream-error'] ?? '', /^the upload could not be read: /)
    }
    assert.deepEqual(server.errors, [])
  })
})

describe('a failure in the middle of an upload', () => {
  const failing = {
    // biome-ignore lint/correctness/useYield: it fails before its first item
    add: async function* (files: AsyncIterable<AddEntry>): AsyncGenerator<AddedOutput> {
      for await (const entry of files) for await (const _chunk of entry.content) throw new Error('the disk is full')
    }
  }
  async function* large(): AsyncGenerator<Uint8Array> {
    for (let i = 0; i < 512; i++) yield Buffer.alloc(64 * 1024)
  }

  it('reaches a client that still sends, in both forms', async () => {
    await using server = await ApiServer.start(failing)
    for (const streamChannels of [true, false]) {
      const added = server.client().add([{ path: 'a', content: large() }], { streamChannels })
      await assert.rejects(collect(added), { message: 'the disk is full' })
    }
  })

  it('of the sender ends what reads it, and nothing is logged', async () => {
    const { promise: ended, resolve: onEnd } = Promise.withResolvers<unknown>()
    const { promise: begun, resolve: onBegin } = Promise.withResolvers<void>()
    await using server = await ApiServer.start({
      // biome-ignore lint/correctness/useYield: it never comes to an item
      add: async function* (files, _options, call) {
        try {
          for await (const entry of files) {
            onBegin()
            await textOf(entry)
          }
        } catch (error) {
          onEnd([call?.signal?.aborted, (error as Error).message])
          throw error
        }
      }
    })
    const request = begin(server)
    request.write(`${partHead('a')}one`)
    await begun
    request.destroy()
    const [, message] = (await ended) as [boolean, string]
    assert.match(message, /the client went away|could not be read/)
    assert.deepEqual(server.errors, [])
    assert.equal(await server.client().version(), '1.2.3')
  })

  it('of the server ends the upload with the reason', async () => {
    const { promise: begun, resolve: onBegin } = Promise.withResolvers<void>()
    const server = await ApiServer.start({
      // biome-ignore lint/correctness/useYield: it never comes to an item
      add: async function* (files) {
        for await (const entry of files) {
          onBegin()
          await textOf(entry)
        }
      }
    })
    const request = begin(server)
    const [response] = await once(request, 'response')
    request.write(`${partHead('a')}one`)
    await begun
    const stopped = server.api.stop()
    response.resume()
    await once(response, 'end')
    assert.equal(response.trailers['x-stream-error'], 'the peer is shutting down')
    await stopped
    request.destroy()
  })
})
