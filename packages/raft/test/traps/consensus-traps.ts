/** The traps of consensus: terms and votes, replication, elections, membership. How to read a row is said in `traps.ts`. */

import { type Trap, trap } from './trap.ts'

const terms: readonly Trap[] = [
  trap(
    'T1',
    'Term and vote are one record; a vote that is repeated is earned again',
    ['core/state.ts setHardState', 'storage/hard-state.ts write', 'core/election.ts onVoteRequest hasEarnedVote'],
    ['t01-vote-is-earned-again.txt', 'core/paper-replication.test.ts "§5.4.1"'],
    ['vote-without-recency', 'old-vote-in-new-term']
  ),
  trap(
    'T2',
    'The vote outlives restarts and stepping down',
    ['core/roles.ts becomeFollower', 'core/state.ts setHardState'],
    ['t02-vote-survives-a-crash.txt', 't02-vote-survives-stepping-down.txt'],
    ['vote-not-persisted', 'vote-erased-on-step-down']
  ),
  trap(
    'T3',
    'No message leaves before what it promises is on disk',
    ['core/state.ts send', 'driver/log-writer.ts LogWriter'],
    ['t03-answer-waits-for-the-disk.txt', 't03-snapshot-answer-waits-for-the-disk.txt', 'driver/log-writer.test.ts'],
    ['ack-before-durable', 'snapshot-acknowledged-early', 'release-before-durable']
  ),
  trap(
    'T4',
    'A new term begins without a vote, and an answer is a vote only if it says so',
    ['core/roles.ts becomeFollower', 'core/election.ts onVoteResponse'],
    ['t04-refusal-is-no-vote.txt', 'core/paper-elections.test.ts "a leader that hears of a higher term follows"'],
    ['refusal-counted-as-vote']
  ),
  trap(
    'T5',
    'The own vote counts once it is on disk',
    ['core/election.ts countOwnVote', 'core/state.ts ownVoteDurable'],
    ['t05-own-vote-on-disk-first.txt'],
    ['own-vote-counted-early']
  ),
  trap(
    'T6',
    'One log in memory decides; what is durable is a mark that gates answers, the own match and applying',
    ['core/log.ts durableIndex', 'core/raft.ts applyCommitted'],
    ['slow-disk-leader.txt'],
    ['apply-before-durable']
  ),
  trap(
    'T7',
    'Every commit is synced',
    ['storage/segment-log.ts persist', 'storage/file-system.ts nodeFileSystem'],
    [
      'storage/stories/t07-acknowledged-is-synced.txt',
      'storage/segment-log.crash.test.ts "keeps what was acknowledged, whole, wherever the power goes"'
    ],
    ['never-synced']
  )
]

const replication: readonly Trap[] = [
  trap(
    'T8',
    'Copies are counted for entries of the own term only',
    ['core/leading.ts advanceCommit'],
    ['figure-8.txt'],
    ['commit-old-term-by-counting']
  ),
  trap(
    'T9',
    'The leader counts itself as far as its disk',
    ['core/leading.ts advanceCommit'],
    ['t09-leader-counts-its-disk.txt', 'driver/driver.test.ts "does not count its own write before it is durable"'],
    ['own-match-at-append']
  ),
  trap(
    'T10',
    'An answer proves what its message proved, in its term, no more',
    ['core/following.ts acknowledge', 'core/raft.ts answerStale'],
    ['t10-heartbeat-proves-what-it-checked.txt', 't10-answer-of-an-old-term.txt'],
    ['heartbeat-proves-all', 'answers-of-old-terms-counted']
  ),
  trap(
    'T11',
    'A heartbeat is checked like an append, and cuts nothing',
    ['core/following.ts agreesAtPrevious'],
    ['t11-heartbeat-is-checked.txt'],
    ['heartbeat-unchecked']
  ),
  trap(
    'T12',
    'A follower commits as far as this leader verified',
    ['core/following.ts commitVerified'],
    ['t12-commit-no-further-than-verified.txt'],
    ['commit-past-match']
  ),
  trap(
    'T13',
    'What is sent next never falls to what matches; a conflict costs a message a term',
    ['core/progress.ts refused', 'core/following.ts refuse'],
    ['t13-late-refusal.txt', 'conflict-hints.txt', 'core/progress.test.ts'],
    ['next-below-match']
  ),
  trap(
    'T14',
    'A write vouches only for the entries it wrote; one write at a time',
    ['core/state.ts truncateLog', 'driver/log-writer.ts LogWriter'],
    ['t14-write-vouches-for-its-own-entries.txt', 'driver/log-writer.test.ts "writes one batch at a time"'],
    ['write-vouches-for-successors']
  ),
  trap(
    'T15',
    'Only a conflict cuts the log',
    ['core/following.ts takeEntries'],
    ['t15-old-append-cuts-nothing.txt'],
    ['truncate-on-overlap']
  ),
  trap(
    'T16',
    'Cutting what is committed stops the node',
    ['core/log.ts truncate'],
    ['t16-committed-entries-are-not-cut.txt', 'core/log.test.ts'],
    ['previous-checked-by-index']
  ),
  trap(
    'T17',
    'Cutting and appending are one write',
    ['core/state.ts flushPersist', 'storage/segment.ts replayFrame'],
    [
      'storage/stories/t17-cut-and-append-are-one-write.txt',
      't17-cut-and-append-are-one-write.txt',
      'storage/segment-log.crash.test.ts'
    ],
    ['truncation-not-written', 'ghost-tail']
  ),
  trap(
    'T18',
    'A node that lost data does not stop itself or others, and is reported',
    ['core/following.ts commitVerified', 'core/leading.ts forgetfulPeer'],
    ['t18-wiped-follower.txt', 't18-commit-within-the-log.txt', 'core/forgetful-peer.test.ts'],
    ['commit-beyond-log']
  ),
  trap(
    'T19',
    'What is accepted fits a message',
    ['core/leading.ts propose', 'transport/codec.ts largestMessageBytes', 'transport/libp2p-transport.ts start'],
    [
      't19-too-large-is-refused.txt',
      'transport/libp2p-transport.test.ts "does not start with limits whose messages it would not carry"',
      'transport/libp2p-transport.test.ts "carries the largest command that it starts with"'
    ],
    ['frame-limit-unchecked']
  )
]

const elections: readonly Trap[] = [
  trap(
    'T20',
    'Who was cut off or removed disturbs nobody',
    ['core/election.ts isSticky startPreVote'],
    ['pre-vote-disruption.txt'],
    ['no-pre-vote', 'never-sticky']
  ),
  trap(
    'T21',
    'A leader without a quorum goes',
    ['core/leading.ts hearsQuorum'],
    ['t21-half-connected-leader.txt'],
    ['no-check-quorum']
  ),
  trap(
    'T22',
    'A pre-vote changes nothing, a refusal tells the term, a hand-over skips it',
    ['core/election.ts onPreVoteRequest onTimeoutNow'],
    ['t22-refused-pre-vote-tells-the-term.txt', 't22-pre-vote-restarts-no-timer.txt', 'transfer.txt'],
    ['pre-vote-restarts-timer', 'pre-vote-hides-term']
  ),
  trap(
    'T23',
    'A leader whose disk hangs goes, if those of the others do not; one that is unfit hands over, to one that is clearly well, and does not insist',
    [
      'core/leading.ts tickLeader diskComplaint',
      'core/fitness.ts wantedHeir noteHandOver',
      'core/transfer.ts handOver',
      'driver/health.ts HealthMonitor'
    ],
    [
      'slow-disk-leader.txt',
      't23-all-disks-hang.txt',
      't23-unfit-leader-hands-over.txt',
      't23-failed-hand-over.txt',
      't23-priority-leads.txt',
      'driver/health.test.ts'
    ],
    [
      'stalled-disk-leads',
      'slow-disk-uncompared',
      'unfit-leader-stays',
      'hand-over-to-unfit',
      'hand-over-insists',
      'priority-ignored'
    ]
  ),
  trap(
    'T24',
    'A node whose disk hangs does not campaign; one that is not well lets others come first; an only voter does neither',
    ['core/election.ts mayCampaign', 'core/fitness.ts campaignDelayMs', 'core/state.ts isOnlyVoter'],
    ['t24-hanging-disk-does-not-campaign.txt', 't24-unfit-campaigns-late.txt', 't24-only-voter-does-not-wait.txt'],
    ['stalled-disk-campaigns', 'eager-campaign', 'only-voter-waits']
  ),
  trap(
    'T25',
    'A follower that stood still catches up without a restart',
    ['core/progress.ts agreed'],
    ['t25-stalled-follower-catches-up.txt'],
    ['window-never-freed']
  ),
  trap(
    'T26',
    'A stall of this node is not the silence of others, but one after another excuses nobody for ever',
    ['core/stalls.ts excuseFollower excuseLeader', 'driver/ticker.ts Ticker'],
    [
      't26-own-stall-is-no-silence.txt',
      't26-stalls-are-excused-twice.txt',
      'driver/ticker.test.ts "lets what came during a stall be read before it ticks"'
    ],
    ['stall-counted-as-silence', 'stalls-excused-for-ever']
  ),
  trap(
    'T27',
    'A learner votes if asked, and never campaigns',
    ['core/election.ts onVoteRequest mayCampaign'],
    ['learner-votes.txt', 'learner-promotion.txt'],
    ['learner-campaigns', 'learner-refuses-vote']
  ),
  trap(
    'T28',
    'A leader takes, and has under way, no more than is bounded; a follower acknowledges what it can digest; compaction waits for a snapshot that is fetched',
    [
      'core/leading.ts propose',
      'core/progress.ts Inflight',
      'core/following.ts digestibleIndex',
      'core/snapshots.ts onCompactable'
    ],
    ['t28-intake-is-bounded.txt', 'core/bounds.test.ts', 'core/snapshot-retries.test.ts'],
    ['intake-unlimited']
  )
]

const membership: readonly Trap[] = [
  trap(
    'T29',
    'No change before the last is committed, and an entry of the own term is',
    ['core/membership.ts changeObstacle'],
    ['t29-change-waits-for-own-term.txt', 't29-one-change-at-a-time.txt'],
    ['no-own-term-barrier', 'change-on-uncommitted-config']
  ),
  trap(
    'T30',
    'A configuration is in force from append to cut',
    ['core/log.ts append truncate'],
    ['t30-configuration-follows-the-log.txt', 'core/log.test.ts'],
    ['config-at-commit', 'config-kept-by-truncation']
  ),
  trap(
    'T31',
    'A snapshot’s configuration replaces all others',
    ['core/log.ts reset'],
    ['t31-snapshot-replaces-configurations.txt', 'core/log.test.ts'],
    ['config-kept-by-snapshot']
  ),
  trap(
    'T32',
    'A removed leader commits its removal and goes; a voter of any configuration that may be committed may campaign',
    ['core/membership.ts leaveIfRemoved', 'core/election.ts mayCampaign'],
    ['removed-leader.txt', 'removed-leader-crashes.txt', 'core/campaign-after-removal.test.ts'],
    ['removed-leader-stays', 'removed-voter-never-campaigns']
  ),
  trap(
    'T33',
    'Both majorities decide, strangers never; promotion keeps what is known; any leader leaves a joint configuration',
    ['core/quorum.ts quorumReached tallyVotes', 'core/membership.ts trackPeers settleMembership'],
    ['t33-both-majorities-elect.txt', 'joint-change.txt', 'core/quorum.test.ts'],
    ['commit-ignores-outgoing', 'election-ignores-outgoing', 'joint-never-left']
  ),
  trap(
    'T34',
    'Whoever lost its data has another name, and of who left and comes back nothing is known',
    ['transport/node-name.ts', 'core/membership.ts trackPeers', 'packages/service/src/daemon/plan.ts'],
    [
      't34-member-returns-empty.txt',
      'transport/identity.test.ts',
      'driver/driver.test.ts "takes back a member that was removed"'
    ],
    ['wiped-under-old-name']
  ),
  trap(
    'T35',
    'Who shows less than was seen of it is refused, and falls silent',
    ['transport/peers-seen.ts objection', 'storage/boot-counter.ts', 'transport/libp2p-transport.ts fallSilent'],
    ['t35-disk-put-back.txt', 'transport/identity.test.ts', 'transport/peers-seen.test.ts'],
    ['rolled-back-under-old-name']
  ),
  trap(
    'T36',
    'Two clusters exchange no message; a first configuration goes into an empty log only',
    ['transport/libp2p-transport.ts', 'driver/startup.ts'],
    [
      'transport/hostile-peer.test.ts "is told that it belongs to another cluster"',
      'transport/libp2p-transport.test.ts "does not listen to a peer of another cluster"',
      'driver/startup.test.ts "takes a first configuration into an empty log only (T36)"'
    ]
  ),
  trap(
    'T37',
    'A forced recovery begins another cluster, of one voter, and changes nothing of the old',
    ['driver/recovery.ts foundFromLog', 'packages/service/src/recovery/recover.ts'],
    ['driver/recovery.test.ts', 'packages/service/test/recovery/recover.test.ts', 'test/e2e/identity.e2e.ts']
  )
]

export const CONSENSUS_TRAPS: readonly Trap[] = [...terms, ...replication, ...elections, ...membership]
