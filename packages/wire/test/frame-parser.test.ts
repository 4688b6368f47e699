import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { FRAME_HEADER_BYTES, FrameParser } from '../src/frame-parser.ts'

function encode(frames: readonly Uint8Array[]): Buffer {
  return Buffer.concat(
    frames.flatMap((frame) => {
      const header = Buffer.alloc(FRAME_HEADER_BYTES)
      header.writeUInt32LE(frame.length)
      return [header, frame]
    })
  )
}

/** Cuts bytes at the given places, in any order and with repeats. */
function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const at = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  return at.slice(1).map((end, i) => bytes.subarray(at[i], end))
}

describe('FrameParser', () => {
  it('gives back the frames that were written, wherever the chunks are cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 12 }),
        fc.array(fc.nat(1000), { maxLength: 40 }),
        (frames, places) => {
          const seen: Uint8Array[] = []
          const parser = new FrameParser(40, (frame) => seen.push(frame))
          for (const chunk of cut(encode(frames), places)) assert.equal(parser.push(chunk), undefined)
          assert.deepEqual(
            seen.map((frame) => [...frame]),
            frames.map((frame) => [...frame])
          )
        }
      )
    )
  })

  it('takes any bytes without throwing, and gives no frame above the limit', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 20 }), (chunks) => {
        const parser = new FrameParser(16, (frame) => assert.ok(frame.length <= 16))
        for (const chunk of chunks) parser.push(chunk)
      })
    )
  })

  it('names the size of a frame that is too large, and takes nothing more', () => {
    const seen: Uint8Array[] = []
    const parser = new FrameParser(10, (frame) => seen.push(frame))
    const failure = parser.push(encode([new Uint8Array(10), new Uint8Array(11), new Uint8Array(1)]))
    assert.match(failure ?? '', /11 bytes.*10/)
    assert.equal(parser.push(encode([new Uint8Array(1)])), failure)
    assert.equal(seen.length, 1)
  })

  it('hands out an empty frame that ends a chunk at once', () => {
    const seen: number[] = []
    const parser = new FrameParser(10, (frame) => seen.push(frame.length))
    parser.push(encode([new Uint8Array(0)]))
    assert.deepEqual(seen, [0])
  })

  it('puts frames of large and small pieces together', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.nat(3), fc.integer({ min: 4000, max: 9000 })), { maxLength: 30 }), (sizes) => {
        const total = sizes.reduce((sum, size) => sum + size, 0)
        const frame = Uint8Array.from({ length: total }, (_, i) => (i * 31 + (i >> 8)) & 0xff)
        const seen: Uint8Array[] = []
        const parser = new FrameParser(1 << 20, (whole) => seen.push(whole))
        let at = 0
        const bytes = encode([frame])
        for (const size of [FRAME_HEADER_BYTES, ...sizes]) {
          parser.push(bytes.subarray(at, at + size))
          at += size
        }
        assert.equal(seen.length, 1)
        assert.equal(Buffer.compare(seen[0]!, frame), 0)
      }),
      { numRuns: 50 }
    )
  })

  it('holds a frame that comes byte by byte at little more than its size', () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const bytes = encode([new Uint8Array(1 << 20)])
    const parser = new FrameParser(1 << 20, () => assert.fail('the last byte is not there'))
    collect()
    const before = process.memoryUsage()
    for (let at = 0; at < bytes.length - 1; at++) parser.push(bytes.subarray(at, at + 1))
    collect()
    const after = process.memoryUsage()
    const held = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers
    assert.ok(held < 8 << 20, `${held} bytes are held for a frame of ${1 << 20}`)
    parser.push(new Uint8Array(0))
  })
})
