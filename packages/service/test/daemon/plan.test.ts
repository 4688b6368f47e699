/** Every case of what a daemon may find at its start, and what it does of it. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Group, MembershipRecord } from '../../src/daemon/group-file.ts'
import { type Found, planStart } from '../../src/daemon/plan.ts'

const group: Group = { clusterId: 'c', incarnation: '0'.repeat(32) }
const named: Group = { ...group, name: `me#${'0'.repeat(32)}` }
const member: MembershipRecord = { clusterId: 'c', state: 'member' }
const removed: MembershipRecord = { clusterId: 'c', state: 'removed' }

const empty: Found = {
  self: 'me',
  group: undefined,
  lost: undefined,
  logIsEmpty: true,
  membership: undefined,
  bootstrap: [],
  initPeerset: []
}
const restart = { type: 'restart', group, forming: false, voters: undefined, note: undefined }

const rejoin = (why: string) => ({ type: 'rejoin', clusterId: 'c', why })

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
    { group: named, membership: member, initPeerset: ['a'] },
    {
      ...restart,
      group: named,
      forming: true,
      voters: undefined,
      note: undefined
    }
  ],
  [
    'a peer that was about to form a cluster of its own goes on with that, whatever the peerset says now',
    { group: named, initPeerset: ['a'] },
    { ...restart, group: named, forming: true, voters: ['me'] }
  ],
  [
    'a member without its data comes back',
    { membership: member },
    rejoin('its consensus data is gone from the folder')
  ],
  [
    'a member without its data comes back, whatever the peerset says',
    { membership: member, initPeerset: ['a'] },
    rejoin('its consensus data is gone from the folder')
  ],
  [
    'a first member of a peerset that has lost its log alone comes back',
    { group, membership: member, initPeerset: ['a'] },
    rejoin('its log is gone from the folder')
  ],
  [
    'a member whose data is not what it promised comes back, although the data is there',
    { group, logIsEmpty: false, membership: member, lost: 'it is old' },
    rejoin('it is old')
  ],
  [
    'a member whose data was set aside in an earlier run comes back',
    { group: { ...named, quarantined: 'it was old' }, logIsEmpty: false, membership: member },
    rejoin('it was old')
  ],
  [
    '--bootstrap does not vouch for data that is not what it promised',
    { bootstrap: ['x'], group, logIsEmpty: false, membership: member, lost: 'it is old' },
    { type: 'join', addresses: ['x'], current: undefined }
  ],
  [
    'a removed peer stops, whatever is wrong with its data',
    { membership: removed, group, lost: 'it is old' },
    /was removed/
  ],
  [
    'a removed peer stops',
    { membership: removed },
    /was removed from cluster c and starts no cluster of its own.*--bootstrap/
  ],
  ['a removed peer stops although data is there', { membership: removed, group, logIsEmpty: false }, /was removed/],
  ['a removed peer stops, whatever the peerset says', { membership: removed, initPeerset: ['a'] }, /was removed/],
  [
    "a member whose data is nobody's comes back",
    { membership: member, lost: 'its file is damaged' },
    rejoin('its file is damaged')
  ],
  [
    'a peer that cannot tell whether it was a member forms nothing',
    { lost: 'its file is damaged', initPeerset: ['a'] },
    /cannot tell which cluster it belongs to: its file is damaged\. .*--bootstrap/
  ],
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
