/** How a snapshot is read; what is in one is tested with the state (`pinset-state.test.ts`). */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readSnapshot, type StoredRecord, writeSnapshot } from '../../src/state/snapshot-format.ts'
import { collect } from './fixtures.ts'

const RECORDS = 3000

async function* records(): AsyncGenerator<StoredRecord> {
  for (let n = 0; n < RECORDS; n++) yield { kind: 'peer', value: Buffer.from(`record ${n}`) }
}

describe('reading a snapshot', () => {
  it('leaves the event loop its turn after a few hundred records, though all of them are in memory', async () => {
    const chunks = await collect(writeSnapshot({ appliedIndex: 7, digest: 1 }, records()))
    assert.equal(chunks.length, 1)
    let inTurn = 0
    let most = 0
    let read = 0
    let next = setImmediate(onTurn)
    function onTurn(): void {
      inTurn = 0
      next = setImmediate(onTurn)
    }
    try {
      for await (const record of readSnapshot(
        7,
        (async function* () {
          yield* chunks
        })()
      )) {
        if (record.kind === 'peer') read++
        most = Math.max(most, ++inTurn)
      }
    } finally {
      clearImmediate(next)
    }
    assert.equal(read, RECORDS)
    assert.ok(most <= 300, `${most} records were read in one turn`)
  })
})
