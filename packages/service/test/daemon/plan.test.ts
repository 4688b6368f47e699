/** Every case of what a daemon may find at its start, and what it does of it. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Group, MembershipRecord } from '../../src/daemon/group-file.ts'
import { type Found, planStart } from '../../src/daemon/plan.ts'

const group: Group = { clusterId: 'c', incarnation: '0'.repeat(32) }
const member: MembershipRecord = { clusterId: 'c', state: 'member' }
const removed: MembershipRecord = { clusterId: 'c', state: 'removed' }

const empty: Found = {
  self: 'me',
  group: undefined,
  logIsEmpty: true,
  membership: undefined,
  bootstrap: [],
  initPeerset: []
}
const restart = { type: 'restart', group, forming: false, voters: undefined, note: undefined }

const rows: [fact: string, found: Partial<Found>, plan: object | RegExp][] = [
  ['an empty folder forms a cluster of one', {}, { type: 'form', voters: ['me'] }],
  [
    'an empty folder with a peerset forms a cluster of it, itself included, in one order',
    { initPeerset: ['z', 'a', 'z'] },
    { type: 'form', voters: ['a', 'me', 'z'] }
  ],
  [
    'a peerset that names only this peer forms a cluster of one',
    { initPeerset: ['me'] },
    { type: 'form', voters: ['me'] }
  ],
  ['data goes on', { group, logIsEmpty: false, membership: member }, restart],
  [
    'data goes on although the record is missing: it is written at the first READY',
    { group, logIsEmpty: false },
    restart
  ],
  [
    'data goes on without the peerset, and says so',
    { group, logIsEmpty: false, membership: member, initPeerset: ['a'] },
    { ...restart, note: 'init_peerset is not used: the membership is in the consensus data' }
  ],
  [
    'a peerset that never had a leader forms again',
    { group, initPeerset: ['a'] },
    { ...restart, forming: true, voters: ['a', 'me'] }
  ],
  [
    'a joiner that heard nothing yet waits, and makes no configuration of its own',
    { group, membership: member, initPeerset: ['a'] },
    { ...restart, forming: true, voters: undefined }
  ],
  [
    'a member without its data stops',
    { membership: member },
    /is a member of cluster c and its consensus data is gone.*--bootstrap.*remove membership\.json/
  ],
  [
    'a member without its data stops, whatever the peerset says',
    { membership: member, initPeerset: ['a'] },
    /data is gone/
  ],
  [
    'a removed peer stops',
    { membership: removed },
    /was removed from cluster c and starts no cluster of its own.*--bootstrap/
  ],
  ['a removed peer stops although data is there', { membership: removed, group, logIsEmpty: false }, /was removed/],
  ['a removed peer stops, whatever the peerset says', { membership: removed, initPeerset: ['a'] }, /was removed/],
  ['--bootstrap joins', { bootstrap: ['x'] }, { type: 'join', addresses: ['x'], current: undefined }],
  [
    '--bootstrap keeps the data until the others have said yes',
    { bootstrap: ['x', 'y'], group, logIsEmpty: false, membership: member },
    { type: 'join', addresses: ['x', 'y'], current: group }
  ],
  [
    '--bootstrap lets a removed peer in again',
    { bootstrap: ['x'], membership: removed },
    { type: 'join', addresses: ['x'], current: undefined }
  ],
  [
    '--bootstrap goes before the peerset',
    { bootstrap: ['x'], initPeerset: ['a'] },
    { type: 'join', addresses: ['x'], current: undefined }
  ]
]

describe('the start of a daemon', () => {
  for (const [fact, found, expected] of rows) {
    it(fact, () => {
      const plan = planStart({ ...empty, ...found })
      if (expected instanceof RegExp) {
        assert.equal(plan.type, 'refuse')
        assert.match(plan.type === 'refuse' ? plan.reason : '', expected)
      } else assert.deepEqual(plan, expected)
    })
  }
})
