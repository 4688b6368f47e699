/** A process that applies entries to a state until it is killed; prints the index after each batch. */

import { writeSync } from 'node:fs'
import type { Operation } from '../../src/state/ops.ts'
import { openPinsetState } from '../../src/state/pinset-state.ts'
import { commands, testCid, testPin } from './fixtures.ts'

const [, , folder = ''] = process.argv
const state = await openPinsetState({ folder })
for (let batch = 0; ; batch++) {
  const first = state.appliedIndex() + 1
  const operations: Operation[] = []
  for (let index = first; index < first + 1 + (batch % 20); index++) {
    operations.push(index % 3 === 0 ? { kind: 'unpin', cid: testCid(index - 1) } : { kind: 'pin', pin: testPin(index) })
  }
  await state.apply(commands(first, operations), first + operations.length - 1)
  if (batch % 7 === 0) await state.flush()
  writeSync(1, `${state.appliedIndex()}\n`)
}
