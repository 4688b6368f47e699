/**
 * Waiting for the copies of a pin: the `--wait` of the command line. {@link judgeProgress} is the pure decision, {@link waitForStatus} asks
 * the peer again and again.
 *
 * IPFS Cluster gives up as soon as any peer shows an error, even when enough other peers have, or can still make, the
 * copies that were asked for. Here the wait ends in failure only when the wanted number cannot be reached any more.
 */

import { parseCid } from './api/identifiers.ts'
import type { GlobalPinInfo, PinInfoShort, TrackerStatus } from './api/types.ts'
import type { QuorateClient } from './client.ts'

/** States that do not change by waiting. */
const failed: ReadonlySet<TrackerStatus> = new Set<TrackerStatus>([
  'undefined',
  'cluster_error',
  'pin_error',
  'unpin_error'
])

export interface WaitTarget {
  readonly status: 'pinned' | 'unpinned'
  /** So many peers must reach it; 0 or less: all that are concerned. More than there are counts as all. */
  readonly limit: number
}

export type Verdict =
  | { readonly type: 'reached' }
  | { readonly type: 'waiting' }
  /** What stands in the way, one sentence. */
  | { readonly type: 'failed'; readonly reason: string }

/** Peers that a pin is not allocated to (`remote`) are not concerned with its being pinned. */
export function judgeProgress(info: GlobalPinInfo, target: WaitTarget): Verdict {
  const concerned = Object.entries(info.peerMap).filter(
    ([, copy]) => target.status !== 'pinned' || copy.status !== 'remote'
  )
  if (concerned.length === 0) return { type: 'waiting' }
  const needed = target.limit > 0 ? Math.min(target.limit, concerned.length) : concerned.length
  const there = concerned.filter(([, copy]) => copy.status === target.status).length
  if (there >= needed) return { type: 'reached' }
  const broken = concerned.filter(([, copy]) => failed.has(copy.status))
  if (concerned.length - broken.length >= needed) return { type: 'waiting' }
  return {
    type: 'failed',
    reason:
      `${needed} of ${concerned.length} peers should have ${info.cid} ${target.status}, ${there} have, and ` +
      `${broken.length} cannot: ${broken.map(([peer, copy]) => describeCopy(peer, copy)).join('; ')}`
  }
}

function describeCopy(peer: string, copy: PinInfoShort): string {
  return `${copy.peername || peer} is in ${copy.status}${copy.error === '' ? '' : ` (${copy.error})`}`
}

/** The copies that were waited for cannot come about. */
export class WaitFailedError extends Error {
  static override readonly name = 'WaitFailedError'
  override readonly name = 'WaitFailedError'
  /** How things stood. */
  readonly info: GlobalPinInfo

  constructor(reason: string, info: GlobalPinInfo) {
    super(reason)
    this.info = info
  }
}

export interface WaitOptions extends WaitTarget {
  /** Between two questions. @default 1000 */
  readonly intervalMs?: number
  readonly signal?: AbortSignal
}

/**
 * @returns how things stand when the target is reached
 * @throws {WaitFailedError} when it cannot be reached any more; the signal's reason when aborted; what `client.status` throws
 */
export async function waitForStatus(client: QuorateClient, cid: string, options: WaitOptions): Promise<GlobalPinInfo> {
  const { signal, intervalMs = 1000 } = options
  const canonical = parseCid(cid)
  for (;;) {
    const info = await client.status(canonical, signal === undefined ? {} : { signal })
    const verdict = judgeProgress(info, options)
    if (verdict.type === 'reached') return info
    if (verdict.type === 'failed') throw new WaitFailedError(verdict.reason, info)
    await pause(intervalMs, signal)
  }
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    }, ms)
    if (signal?.aborted) onAbort()
    else signal?.addEventListener('abort', onAbort, { once: true })
  })
}
