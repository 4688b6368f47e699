/** Inputs come off a tape as they were put on it: a replay that is told less than the node was goes another way. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Input } from '../../src/core/types.ts'
import { InputTape } from '../../src/driver/input-tape.ts'

describe('a tape', () => {
  it('keeps what the state machine said of its state', () => {
    const inputs: Input[] = [
      { type: 'tick' },
      { type: 'applied', index: 7 },
      { type: 'applied', index: 8, digest: 0xffff_ffff },
      { type: 'persisted', seq: 3 },
      { type: 'receive', from: 'b', message: { type: 'digest-report', term: 1, index: 8, digest: 5 } }
    ]
    const tape = new InputTape(10_000)
    for (const [at, input] of inputs.entries()) tape.add(input, at, at, [], 0)
    assert.deepEqual(tape.read().inputs, inputs)
  })
})
