/**
 * Options that several commands share: those of a pin, and those that say how long to stay after it was accepted.
 */

import { setTimeout as delay } from 'node:timers/promises'
import {
  type GlobalPinInfo,
  globalPinInfoCodec,
  type Pin,
  type PinOptions,
  parseDuration,
  parsePeerId,
  pinCodec,
  waitForStatus
} from '@quorate/client'
import type { Options } from 'yargs'
import { type Arguments, parseOption } from './arguments.ts'
import type { Context } from './context.ts'
import { CtlError, exitCodes } from './io.ts'
import { layoutPin, layoutStatus } from './layout.ts'

export const expiryFlag: Record<string, Options> = {
  'expire-in': { type: 'string', describe: 'Unpin after this time, such as 72h or 30m' }
}

/** What `add` and `pin add` have in common. */
export const pinFlags: Record<string, Options> = {
  name: { alias: 'n', type: 'string', default: '', describe: 'Name of the pin' },
  'replication-min': {
    alias: 'rmin',
    type: 'string',
    default: '0',
    describe: 'Fewest peers that must have it; -1: all; 0: as the peer is configured'
  },
  'replication-max': {
    alias: 'rmax',
    type: 'string',
    default: '0',
    describe: 'Most peers that should have it; -1: all; 0: as the peer is configured'
  },
  ...expiryFlag,
  metadata: { type: 'string', describe: 'key=value to keep with the pin; may be given again' },
  allocations: { alias: 'allocs', type: 'string', describe: 'Peer IDs to prefer, separated by commas' }
}

export const waitFlags: Record<string, Options> = {
  'no-status': { alias: 'ns', type: 'boolean', describe: 'Print the pin itself, not how its copies are doing' },
  wait: { alias: 'w', type: 'boolean', describe: 'Stay until it is done on the peers' },
  'wait-limit': {
    alias: 'wl',
    type: 'string',
    default: '0',
    describe: 'With --wait: until it is done on so many; 0: the fewest that must have it'
  },
  'wait-timeout': {
    alias: 'wt',
    type: 'string',
    default: '0s',
    describe: 'With --wait: give up after this time; 0s: never'
  }
}

/** @throws {CtlError} */
export function readExpiry(args: Arguments): number | undefined {
  if (!args.has('expire-in')) return undefined
  const ms = args.parsed('expire-in', parseDuration)
  if (ms < 1000) throw new CtlError(`option --expire-in must be at least 1s, not ${args.text('expire-in')}`)
  return Date.now() + ms
}

/** The options of {@link pinFlags}. @throws {CtlError} */
export function readPinFlags(args: Arguments): Partial<PinOptions> {
  const allocations = args.text('allocations')
  return {
    name: args.text('name'),
    replicationFactorMin: args.integer('replication-min'),
    replicationFactorMax: args.integer('replication-max'),
    expireAtMs: readExpiry(args),
    metadata: Object.fromEntries(args.all('metadata').map(splitMetadata)),
    userAllocations: allocations
      .split(',')
      .filter((id) => id.trim() !== '')
      .map((id) => parseOption('--allocations', id.trim(), parsePeerId))
  }
}

function splitMetadata(text: string): [string, string] {
  const at = text.indexOf('=')
  if (at < 1) throw new CtlError(`option --metadata must be key=value, not ${JSON.stringify(text)}`)
  return [text.slice(0, at), text.slice(at + 1)]
}

/** @throws {CtlError} */
export function readWaitTimeout(args: Arguments): number {
  const ms = args.parsed('wait-timeout', parseDuration)
  if (ms < 0 || ms > 2 ** 31 - 1)
    throw new CtlError(`option --wait-timeout must be from 0s to 596h, not ${args.text('wait-timeout')}`)
  return ms
}

/**
 * Waits for the copies. IPFS Cluster's client ignores a timeout of a second or less; this one does not.
 *
 * @param limit - peers that must reach it; 0 or less: all
 * @param timeoutMs - 0: none
 * @throws {CtlError} with exit code 62 when time is up; {@link WaitFailedError} when it cannot come about
 */
export async function waitForCopies(
  context: Context,
  cid: string,
  target: 'pinned' | 'unpinned',
  limit: number,
  timeoutMs: number
): Promise<GlobalPinInfo> {
  const timeout = timeoutMs > 0 ? AbortSignal.timeout(timeoutMs) : undefined
  const signal = timeout === undefined ? context.signal : AbortSignal.any([context.signal, timeout])
  try {
    return await waitForStatus(context.client, cid, { status: target, limit, signal })
  } catch (error) {
    if (timeout?.aborted === true && !context.signal.aborted && error === timeout.reason) {
      throw new CtlError(
        `${cid} was not ${target} everywhere it should be within ${timeoutMs} ms: context deadline exceeded`,
        {
          doing: 'waiting for pin status',
          exitCode: exitCodes.timedOut,
          cause: error
        }
      )
    }
    throw error
  }
}

/** Ends a change of the pinset as {@link waitFlags} ask: waits if told to, then prints the pin or the state of its copies. */
export async function finishChange(
  args: Arguments,
  context: Context,
  pin: Pin,
  target: 'pinned' | 'unpinned'
): Promise<void> {
  let info: GlobalPinInfo | undefined
  if (args.flag('wait')) {
    const limit = args.integer('wait-limit') || (target === 'pinned' ? pin.replicationFactorMin : 0)
    info = await waitForCopies(context, pin.cid, target, limit, readWaitTimeout(args))
  }
  if (args.flag('no-status')) return await context.print(pinCodec, pin, layoutPin)
  info ??= await settledStatus(context, pin.cid)
  await context.print(globalPinInfoCodec, info, layoutStatus)
}

/** Most milliseconds that {@link settledStatus} stays for. */
const settleMs = 1000
const settleIntervalMs = 100
const settling: ReadonlySet<string> = new Set(['pinning', 'pin_queued', 'unpinning', 'unpin_queued'])

/** The state once nothing is under way any more, or after a second: most pins of content near by are there by then. */
async function settledStatus(context: Context, cid: string): Promise<GlobalPinInfo> {
  const { client, signal } = context
  for (let elapsedMs = 0; ; elapsedMs += settleIntervalMs) {
    const info = await client.status(cid, { signal })
    const moving = Object.values(info.peerMap).some((copy) => settling.has(copy.status))
    if (!moving || elapsedMs >= settleMs) return info
    await delay(settleIntervalMs, undefined, { signal })
  }
}
