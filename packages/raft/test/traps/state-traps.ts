/** The traps of what is kept: snapshots, applying and reading, disks. How to read a row is said in `traps.ts`. */

import { type Trap, trap } from './trap.ts'

const snapshots: readonly Trap[] = [
  trap(
    'T38',
    'A snapshot is installed only over less',
    ['core/snapshots.ts onInstallSnapshotRequest', 'core/log.ts reset'],
    ['t38-stale-snapshot.txt'],
    ['stale-snapshot-taken']
  ),
  trap(
    'T39',
    'What a node finishes too late, below where it stands by now, changes nothing',
    ['core/snapshots.ts onCompactable onSnapshotReady', 'storage/snapshot-files.ts latest'],
    [
      'storage/stories/t41-snapshot-whole-or-not.txt',
      't39-own-snapshot-ends-late.txt',
      'storage/snapshot-store-suite.ts "answers the newest by index"'
    ],
    ['late-compaction-obeyed']
  ),
  trap(
    'T40',
    'The newest snapshot is that of the highest index, and is never pruned',
    ['storage/snapshot-files.ts byAge prune'],
    [
      'storage/stories/t41-snapshot-whole-or-not.txt',
      'storage/snapshot-store-suite.ts "answers the newest by index"',
      'storage/snapshot-files.test.ts'
    ],
    ['newest-snapshot-pruned']
  ),
  trap(
    'T41',
    'Half a snapshot is none',
    ['storage/snapshot-writer.ts commit', 'storage/file-system.ts writeFileAtomically'],
    [
      'storage/stories/t41-snapshot-whole-or-not.txt',
      'storage/snapshot-files.test.ts "keeps every committed snapshot that was not replaced, whole, wherever the power goes"'
    ],
    ['snapshot-not-synced', 'names-not-synced']
  ),
  trap(
    'T42',
    'With an installed snapshot nothing of the old log stays; an installation ends whole, wherever it was cut off',
    ['core/log.ts reset', 'driver/startup.ts prepareStart'],
    [
      'storage/stories/t42-reset-is-one-step.txt',
      't42-nothing-stays-beside-a-snapshot.txt',
      'driver/startup.test.ts "finishes an installation"'
    ],
    ['log-kept-by-snapshot', 'log-kept-beside-snapshot']
  )
]

const applying: readonly Trap[] = [
  trap(
    'T43',
    'The state holds its index in the same atomic write',
    ['core/log.ts appliedIndex', 'driver/startup.ts'],
    ['t43-applied-once.txt', 'driver/driver.test.ts "applies nothing twice after a crash"'],
    ['applied-twice', 'state-index-apart']
  ),
  trap(
    'T44',
    'A command that comes again in its session is applied once, and answered as the first time',
    ['sessions/session-table.ts SessionTable', 'packages/service/src/state/pin-batch.ts'],
    ['sessions/session-table.test.ts', 'packages/service/test/state/sessions.test.ts', 'test/e2e/exactly-once.e2e.ts'],
    ['session-ignored', 'session-not-in-snapshot']
  ),
  trap(
    'T45',
    'Names are ordered the same everywhere; states are compared by digest, and the wrong one is found',
    ['core/members.ts byCodeUnits', 'core/digests.ts onDigestReport'],
    ['t45-names-in-one-order.txt', 't45-wrong-state-is-found.txt', 'core/members.test.ts'],
    ['names-in-own-order', 'digests-not-compared']
  ),
  trap(
    'T46',
    'A new leader answers reads once an entry of its own is committed',
    ['core/reads.ts hasCommittedInTerm addLeaderRead'],
    ['read-before-own-commit.txt'],
    ['read-before-own-commit']
  ),
  trap(
    'T47',
    'An answer confirms the reads before its question, and those of this start',
    ['core/reads.ts confirmedPosition', 'core/state.ts followerReads'],
    [
      't47-late-answer-to-a-read.txt',
      't47-answer-to-another-question.txt',
      't47-question-of-another-start.txt',
      'read-index.txt'
    ],
    ['any-answer-confirms-reads', 'any-answer-ends-question', 'question-numbers-reused']
  ),
  trap(
    'T48',
    'No read without a quorum',
    ['core/reads.ts releaseReads'],
    ['t48-no-read-without-a-quorum.txt', 'driver/driver.test.ts "does not confirm a read without a quorum"'],
    ['read-unconfirmed']
  ),
  trap(
    'T49',
    'No commit before the leases of earlier leaders are over; a lease runs from what was answered, is looked at again before the answer leaves, and ends with a hand-over or a jump of the clock',
    ['core/lease.ts otherLeasesEndMs', 'core/leading.ts advanceCommit', 'driver/driver.ts leaseRead'],
    [
      't49-new-leader-waits-for-leases.txt',
      't49-lease-stands-in-the-log.txt',
      't49-lease-runs-from-sending.txt',
      't49-lease-asked-again.txt',
      't49-lease-ends-with-transfer.txt',
      'driver/lease-read.test.ts'
    ],
    [
      'lease-not-waited-for',
      'lease-waited-for-by-option',
      'lease-from-answer',
      'lease-not-checked-again',
      'lease-kept-by-transfer'
    ]
  ),
  trap(
    'T50',
    'What is committed is on the disk of a majority before a caller hears of it, also in a group of one',
    ['core/raft.ts applyCommitted', 'driver/applier.ts'],
    ['t50-only-voter-reads-after-a-crash.txt', 'driver/driver.test.ts'],
    ['answers-before-applied']
  )
]

const disks: readonly Trap[] = [
  trap(
    'T51',
    'The first failed write is the last; what is read at the start counts once it is synced',
    ['driver/log-writer.ts LogWriter', 'storage/segment-log.ts #fail'],
    [
      'storage/stories/t51-first-failure-is-the-last.txt',
      'driver/log-writer.test.ts "releases nothing after a write has failed (T51)"',
      'storage/segment-log.crash.test.ts "refuses everything after a failed write or sync"'
    ],
    ['failed-sync-retried', 'page-cache-trusted']
  ),
  trap(
    'T52',
    'A hole in the log is a fault, never an end',
    ['storage/log-reader.ts readLog'],
    ['storage/stories/t52-damage-is-a-fault.txt', 'storage/segment-log.damage.test.ts', 'damage/damage.sim.ts'],
    ['hole-read-as-end']
  ),
  trap(
    'T53',
    'Term and vote stand twice; if both are lost the node does not vote under its name',
    ['storage/hard-state.ts readHardState'],
    [
      'storage/stories/t53-vote-stands-twice.txt',
      'storage/segment-log.damage.test.ts "keeps the vote when either slot is damaged, and says that it is lost when both are"',
      'driver/repair.test.ts "asks for a new name when both copies of the vote are gone (T53)"'
    ],
    ['vote-in-one-slot']
  ),
  trap(
    'T54',
    'What was durable and cannot be read is a fault, what was not is dropped',
    ['storage/log-reader.ts readLog', 'driver/repair.ts Repair'],
    [
      'storage/stories/t52-damage-is-a-fault.txt',
      'storage/segment-log.damage.test.ts "takes a last commit of which bytes are missing for a torn write only as long as no mark counts it"',
      'damage/damage.sim.ts'
    ],
    ['rot-taken-for-torn-tail']
  ),
  trap(
    'T55',
    'A damaged node takes no part, and so leads nobody, until its peers have given it back what it lost',
    ['driver/repair.ts Repair', 'driver/healing.ts Healing'],
    ['driver/repair.test.ts', 'damage/damage.sim.ts']
  ),
  trap(
    'T56',
    'A full disk leaves room for votes and compaction, stops the intake, and gives leadership away',
    ['storage/disk-reserve.ts openDiskReserve', 'driver/driver.ts'],
    ['storage/disk-reserve.test.ts'],
    ['full-disk-ignored']
  ),
  trap(
    'T57',
    'The log has files of its own, which are only appended to and removed whole; a slow write counts against the leader',
    ['storage/segment-log.ts compact', 'driver/health.ts HealthMonitor'],
    ['storage/stories/t57-compaction-removes-files.txt', 'driver/health.test.ts', 'slow-disk-leader.txt']
  ),
  trap(
    'T58',
    'A file of another folder does not pass',
    ['storage/segment.ts decodeSegmentHeader', 'storage/base-file.ts readBase'],
    ['storage/stories/t58-foreign-files.txt', 'storage/segment-log.damage.test.ts "refuses the files of another node"'],
    ['foreign-files-accepted']
  ),
  trap(
    'T59',
    'What a version does not know stops it, and nothing new is written before all know it',
    ['core/levels.ts settleLevel', 'core/announcements.ts', 'driver/startup.ts requireKnownLevel'],
    ['t59-level-rises-when-all-know.txt', 't59-no-way-back.txt', 'driver/feature-levels.test.ts'],
    ['level-raised-unasked', 'level-lost-by-compaction']
  ),
  trap(
    'T60',
    'The same seed gives the same trace, and known bugs are found',
    ['sim/simulate.ts simulate'],
    ['simulation/determinism.test.ts', 'simulation/mutations.sim.ts', 'core/interaction.test.ts']
  )
]

export const STATE_TRAPS: readonly Trap[] = [...snapshots, ...applying, ...disks]
