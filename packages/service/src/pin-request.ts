/**
 * From what a client asks for to the pin that goes to consensus: defaults, checks, and what a `pin-update` copies. Pure; called by
 * `cluster-peer.ts` (step 3 of `docs/life-of-a-pin.md`). The rules and texts are those of IPFS Cluster's `setupPin`.
 */

import { type CidString, InvalidPinError, type Pin, type PinOptions } from '@quorate/client/api'

export interface ReplicationDefaults {
  /** -1: everywhere. */
  readonly replicationFactorMin: number
  readonly replicationFactorMax: number
}

/** Depth of a recursive and of a direct pin. */
const RECURSIVE_DEPTH = -1
const DIRECT_DEPTH = 0

/**
 * The pin to commit, without its allocations.
 *
 * @param options - as the client gave them; factors of 0 take the defaults
 * @param existing - the pin of the same CID, if there is one
 * @throws {InvalidPinError} when the options make no sense, alone or beside what is pinned
 */
export function preparePin(
  cid: CidString,
  options: PinOptions,
  existing: Pin | undefined,
  defaults: ReplicationDefaults,
  nowMs: number
): Pin {
  const min = options.replicationFactorMin === 0 ? defaults.replicationFactorMin : options.replicationFactorMin
  const max = options.replicationFactorMax === 0 ? defaults.replicationFactorMax : options.replicationFactorMax
  checkFactors(min, max)
  if (options.expireAtMs !== undefined && options.expireAtMs <= nowMs) {
    throw new InvalidPinError(`pin.ExpireAt set before current time: ${new Date(options.expireAtMs).toISOString()}`)
  }
  if (existing !== undefined) checkRepin(options, existing)
  return {
    ...options,
    replicationFactorMin: min,
    replicationFactorMax: max,
    cid,
    type: 'pin',
    allocations: [],
    maxDepth: options.mode === 'direct' ? DIRECT_DEPTH : RECURSIVE_DEPTH,
    reference: undefined,
    timestampMs: nowMs
  }
}

/**
 * A pin of `cid` with everything of `source` but what the options name: a name, if it is not empty, and an expiry.
 * @throws {InvalidPinError} when `source` is part of a sharded DAG, or the expiry is past
 */
export function prepareUpdate(cid: CidString, options: PinOptions, source: Pin, nowMs: number): Pin {
  if (source.type !== 'pin')
    throw new InvalidPinError(`this pin type cannot be updated: ${source.cid} is a ${source.type}`)
  if (options.expireAtMs !== undefined && options.expireAtMs <= nowMs) {
    throw new InvalidPinError(`pin.ExpireAt set before current time: ${new Date(options.expireAtMs).toISOString()}`)
  }
  return {
    ...source,
    cid,
    pinUpdate: source.cid,
    name: options.name === '' ? source.name : options.name,
    expireAtMs: options.expireAtMs ?? source.expireAtMs,
    timestampMs: nowMs
  }
}

function checkFactors(min: number, max: number): void {
  if (min === 0 || max === 0) throw new InvalidPinError('cluster.replication_factor_min and max must be set')
  if (min > 0 && max > 0 && min > max) {
    throw new InvalidPinError(`cluster.replication_factor_min is larger than max: ${min} > ${max}`)
  }
  if (min < -1) throw new InvalidPinError(`cluster.replication_factor_min is wrong: ${min}`)
  if (max < -1) throw new InvalidPinError(`cluster.replication_factor_max is wrong: ${max}`)
  if ((min === -1) !== (max === -1)) {
    throw new InvalidPinError(
      `cluster.replication_factor_min and max must be -1 when one of them is: min is ${min}, max is ${max}`
    )
  }
}

function checkRepin(options: PinOptions, existing: Pin): void {
  if (existing.type !== 'pin') {
    throw new InvalidPinError(
      `cannot repin CID with different tracking method, clear state with pin rm to proceed. New: pin. Was: ${existing.type}`
    )
  }
  if (existing.mode === 'recursive' && options.mode === 'direct') {
    throw new InvalidPinError(
      'cannot repin a CID which is already pinned in recursive mode (new pin is pinned as direct). Unpin it first.'
    )
  }
}

/** Whether the pin goes to every peer. */
export const isEverywhere = (pin: Pick<Pin, 'replicationFactorMin'>): boolean => pin.replicationFactorMin === -1
