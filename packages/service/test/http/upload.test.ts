/** How much of an upload is held: counted in bytes and parts that were taken from the sender and not given on. */

import assert from 'node:assert/strict'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { describe, it } from 'node:test'
import { readUpload } from '../../src/http/upload.ts'
import type { AddEntry } from '../../src/ports.ts'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** A request of which the test counts what was read. The source is asked only when there is room. */
class FakeRequest extends IncomingMessage {
  takenBytes = 0
  private readonly source: Iterator<Buffer>

  constructor(source: Iterable<Buffer>) {
    super(new Socket())
    this.headers = { 'content-type': 'multipart/form-data; boundary=b' }
    this.source = source[Symbol.iterator]()
  }

  override _read(): void {
    const step = this.source.next()
    if (step.done === true) {
      this.complete = true
      this.push(null)
    } else {
      this.takenBytes += step.value.length
      this.push(step.value)
    }
  }
}

const head = (filename: string): Buffer =>
  Buffer.from(`--b\r\nContent-Disposition: form-data; name="file"; filename="${filename}"\r\n\r\n`)

const never = new AbortController().signal

/** Waits until nothing more is read. */
async function atRest(request: FakeRequest): Promise<number> {
  for (let seen = -1, quiet = 0; quiet < 20; ) {
    await turn()
    quiet = request.takenBytes === seen ? quiet + 1 : 0
    seen = request.takenBytes
  }
  return request.takenBytes
}

describe('reading an upload', () => {
  it('holds no more than some chunks of a part of 200 MiB', async () => {
    const chunk = Buffer.alloc(64 * 1024)
    function* body(): Generator<Buffer> {
      yield head('large')
      for (let i = 0; i < 3_200; i++) yield chunk
      yield Buffer.from('\r\n--b--\r\n')
    }
    const request = new FakeRequest(body())
    let given = 0
    let mostHeld = 0
    for await (const { content } of readUpload(request, never)) {
      for await (const piece of content) {
        given += piece.byteLength
        mostHeld = Math.max(mostHeld, request.takenBytes - given)
        if (given % (16 * 1024 * 1024) < piece.byteLength) {
          const heldBytes = (await atRest(request)) - given
          assert.ok(heldBytes < 1024 * 1024, `${heldBytes} bytes are held while nobody reads`)
        }
      }
    }
    assert.equal(given, 200 * 1024 * 1024)
    assert.ok(mostHeld < 1024 * 1024, `${mostHeld} bytes were held`)
  })

  it('holds no more than some chunks of a hundred thousand small parts', async () => {
    const partsPerChunk = 500
    const chunk = Buffer.concat(
      Array.from({ length: partsPerChunk }, () => Buffer.concat([head('small'), Buffer.from('x\r\n')]))
    )
    function* body(): Generator<Buffer> {
      for (let i = 0; i < 200; i++) yield chunk
      yield Buffer.from('--b--\r\n')
    }
    const request = new FakeRequest(body())
    let count = 0
    for await (const { content } of readUpload(request, never)) {
      for await (const _piece of content) count++
      if (count % 10_000 === 1) {
        const held = (await atRest(request)) - Math.floor(count / partsPerChunk) * chunk.length
        assert.ok(held < 8 * chunk.length, `${held} bytes were read ahead of part ${count}`)
      }
    }
    assert.equal(count, 200 * partsPerChunk)
  })

  it('leaves the request to its owner when it is left early', async () => {
    function* body(): Generator<Buffer> {
      yield head('a')
      for (let i = 0; i < 100; i++) yield Buffer.alloc(64 * 1024)
      yield Buffer.from('\r\n--b--\r\n')
    }
    for (const where of ['before the first part', 'in the middle of a part', 'between parts']) {
      const request = new FakeRequest(body())
      const before = ['data', 'end', 'close'].map((event) => request.listenerCount(event))
      const entries = readUpload(request, never)
      if (where !== 'before the first part') {
        const { value } = (await entries.next()) as { value: AddEntry }
        if (where === 'in the middle of a part') for await (const _piece of value.content) break
      }
      await entries.return(undefined)
      assert.equal(request.destroyed, false, where)
      assert.deepEqual(
        ['data', 'end', 'close'].map((event) => request.listenerCount(event)),
        before,
        where
      )
      request.resume()
      await atRest(request)
      assert.equal(request.readableEnded, true, where)
    }
  })

  it('ends with the reason of its signal, wherever it waits', async () => {
    const reason = new Error('enough')
    for (const start of [[], [head('a')], [head('a'), Buffer.from('some')]]) {
      const stopping = new AbortController()
      const request = new FakeRequest(start)
      request._read = () => {
        const next = start.shift()
        if (next !== undefined) request.push(next)
      }
      const reading = (async () => {
        for await (const { content } of readUpload(request, stopping.signal)) for await (const _piece of content);
      })()
      await atRest(request)
      stopping.abort(reason)
      await assert.rejects(reading, reason)
      assert.equal(request.destroyed, false)
    }
    const aborted = readUpload(new FakeRequest([]), AbortSignal.abort(reason))
    await assert.rejects(aborted.next(), reason)
  })

  it('ends when the connection does, wherever it waits', async () => {
    for (const start of [[], [head('a')], [head('a'), Buffer.from('some')]]) {
      const request = new FakeRequest([])
      request._read = () => {
        const next = start.shift()
        if (next !== undefined) request.push(next)
      }
      const reading = (async () => {
        for await (const { content } of readUpload(request, never)) for await (const _piece of content);
      })()
      await atRest(request)
      request.destroy(new Error('ECONNRESET'))
      await assert.rejects(reading, { name: 'BadRequestError' })
    }
  })
})
