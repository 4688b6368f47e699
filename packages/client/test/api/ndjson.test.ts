import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { DecodeError, decodeLines, encodeLine, maxLineBytes, versionCodec } from '@quorate/client/api'
import fc from 'fast-check'

async function* chunks(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let at = 0
  for (const size of sizes) {
    yield bytes.subarray(at, at + size)
    at += size
  }
  yield bytes.subarray(at)
}

async function collect(text: string, sizes: readonly number[] = []): Promise<string[]> {
  const versions: string[] = []
  const bytes = new TextEncoder().encode(text)
  for await (const { version } of decodeLines(versionCodec, chunks(bytes, sizes))) versions.push(version)
  return versions
}

describe('a stream of lines', () => {
  it('comes out as it went in, however it is cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.string({ unit: 'grapheme' })),
        fc.array(fc.integer({ min: 0, max: 9 })),
        async (versions, sizes) => {
          const text = versions.map((version) => encodeLine(versionCodec, { version })).join('')
          assert.deepEqual(await collect(text, sizes), versions)
        }
      )
    )
  })

  it('may lack its last newline, end its lines with \\r\\n and hold empty lines', async () => {
    assert.deepEqual(await collect('{"version":"1"}\r\n\n{"version":"2"}'), ['1', '2'])
    assert.deepEqual(await collect(''), [])
  })

  it('is refused at the line that is no JSON, after the lines before it', async () => {
    const seen: string[] = []
    await assert.rejects(async () => {
      const bytes = new TextEncoder().encode('{"version":"1"}\noops\n')
      for await (const { version } of decodeLines(versionCodec, chunks(bytes, []))) seen.push(version)
    }, DecodeError)
    assert.deepEqual(seen, ['1'])
  })

  it('is refused when a line does not end', async () => {
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) yield new Uint8Array(maxLineBytes / 4).fill(0x20)
    }
    await assert.rejects(decodeLines(versionCodec, endless()).next(), DecodeError)
  })
})
