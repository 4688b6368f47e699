/**
 * Limits and times of a node: the values it runs with unless told otherwise, and which values make sense together.
 *
 * `createRaftCore` calls `checkCoreOptions`; drivers spread their own settings over `defaultCoreOptions`.
 */

import type { CoreOptions } from './types.ts'

const MIB = 1024 * 1024

/** The defaults named in the docs of {@link CoreOptions}. */
export const defaultCoreOptions: CoreOptions = {
  electionTimeoutMs: 450,
  heartbeatMs: 75,
  maxEntryBytes: MIB,
  maxAppendBytes: MIB,
  maxInflightMessages: 64,
  maxInflightBytes: 16 * MIB,
  maxUncommittedEntries: 200_000,
  maxUncommittedBytes: 64 * MIB,
  maxApplyEntries: 4096,
  trailingEntries: 10_240,
  maxLogBytes: 64 * MIB,
  priority: 0,
  leaseMs: 0
}

/** Priorities go from minus this to this. */
export const MAX_PRIORITY = 4

/**
 * By how much more than another's one clock may run in the same time, as a part of it: each may be off by 5 %, and
 * 1.05 / 0.95 is below 1.11. A new leader waits for so much more than a lease takes (T49).
 */
export const CLOCK_DRIFT = 0.11

/**
 * The longest lease there is, in milliseconds. A new leader waits no longer than for one of these, whatever the log says, since no node takes a
 * longer one: what was announced by mistake would hold the group up for as long as it says, over restarts. All members must have
 * the same, so that a version with another needs a feature level of its own (T49, T59).
 */
export const MAX_LEASE_MS = 60_000

/**
 * Shortest and longest wait, in ms, between the loss of the stream to the leader and the pre-vote that follows from it. Random, so
 * that the followers, who all see the loss at the same moment, do not all ask at once.
 */
export const STREAM_LOSS_WAIT_MS = { shortest: 10, longest: 60 } as const

/**
 * How often a node that lost the stream to its leader tries again soon, after the first time: a pre-vote may come before the others have seen the
 * loss, or to one with more of the log, and votes may be split. After these it waits as long as anybody.
 */
export const STREAM_LOSS_RETRIES = 4

/** Most reads that wait on one node. A driver gathers its reads into few tickets, so that only a runaway caller gets here. */
export const MAX_WAITING_READS = 65_536

/** A peer that was silent for longer than this many election timeouts no longer keeps the log, or a snapshot, waiting for it. */
export const PEER_FORGOTTEN_TIMEOUTS = 20

/** While a peer fetches a snapshot, the log may grow to this many times `maxLogBytes`, so that the peer can go on from there. */
export const SNAPSHOT_LOG_FACTOR = 4

/** How many election timeouts a leader goes on telling a removed peer that it was removed, once that is committed. */
export const FAREWELL_TIMEOUTS = 2

/** Reads on a follower that no leader confirmed are refused after this many election timeouts. */
export const READ_TIMEOUTS = 2

/**
 * @throws {RangeError} that names the option, its value and the rule it breaks
 */
export function checkCoreOptions(options: CoreOptions): void {
  const { priority, ...others } = options
  for (const [name, value] of Object.entries(others) as [keyof CoreOptions, number][]) {
    const smallest = name === 'trailingEntries' || name === 'leaseMs' ? 0 : 1
    const whole = name === 'electionTimeoutMs' || name === 'heartbeatMs' || Number.isSafeInteger(value)
    if (!whole || !(value >= smallest) || value === Number.POSITIVE_INFINITY) {
      throw new RangeError(
        `${name} is ${value}, but must be a number of at least ${smallest}, and whole unless it is a time`
      )
    }
  }
  if (options.heartbeatMs >= options.electionTimeoutMs / 3) {
    throw new RangeError(
      `heartbeatMs is ${options.heartbeatMs}, but must be below a third of electionTimeoutMs (${options.electionTimeoutMs}), so that one lost heartbeat starts no election`
    )
  }
  if (!Number.isInteger(priority) || Math.abs(priority) > MAX_PRIORITY) {
    throw new RangeError(`priority is ${priority}, but must be a whole number from -${MAX_PRIORITY} to ${MAX_PRIORITY}`)
  }
  if (options.leaseMs > MAX_LEASE_MS) {
    throw new RangeError(`leaseMs is ${options.leaseMs}, but must be at most ${MAX_LEASE_MS}`)
  }
  if (options.leaseMs * (1 + CLOCK_DRIFT) >= options.electionTimeoutMs) {
    throw new RangeError(
      `leaseMs is ${options.leaseMs}, but with ${CLOCK_DRIFT * 100} % for clocks that run apart it must be below electionTimeoutMs (${options.electionTimeoutMs}): each new leader waits so long before it commits`
    )
  }
}
