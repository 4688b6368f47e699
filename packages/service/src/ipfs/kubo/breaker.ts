/**
 * While Kubo cannot be reached, calls fail at once instead of piling up: after a failure to connect none is made for a pause, which doubles
 * from a quarter of a second to five; then one call tries. The log says when the daemon is gone and when it is back, once each.
 * Around every call to Kubo, whether `kubo-rpc-client` makes it (`client.ts`) or we do (`streamed-call.ts`).
 */

import type { Logger } from '../../ports.ts'
import { IpfsUnavailableError } from '../errors.ts'

const FIRST_PAUSE_MS = 250
const LONGEST_PAUSE_MS = 5000
/** Only what concerns the daemon as a whole stops other calls; a single call may be reset or run into its timeout. */
const CODES_OF_ONE_CALL: ReadonlySet<string> = new Set([
  'ECONNRESET',
  'EPIPE',
  'UND_ERR_SOCKET',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT'
])

export class Breaker {
  readonly #address: string
  readonly #logger: Logger
  /** Undefined while the daemon answers. */
  #down: { pauseMs: number; untilMs: number; readonly reason: string } | undefined

  constructor(address: string, logger: Logger) {
    this.#address = address
    this.#logger = logger
  }

  /** Before a call. @throws {IpfsUnavailableError} while none is to be made */
  check(): void {
    const down = this.#down
    if (down === undefined) return
    const nowMs = performance.now()
    if (nowMs < down.untilMs) throw new IpfsUnavailableError(`cannot reach Kubo at ${this.#address}: ${down.reason}`)
    // This call tries; those that come while it does fail at once.
    down.untilMs = nowMs + down.pauseMs
  }

  /** After an answer, whatever it says. */
  reached(): void {
    if (this.#down === undefined) return
    this.#down = undefined
    this.#logger.info({ address: this.#address }, 'Kubo answers again')
  }

  /** After a call that got no answer; the error to throw. */
  unreachable(command: string, error: Error): IpfsUnavailableError {
    const code = codeOf(error)
    const reason = messageOf(error)
    if (code !== undefined && !CODES_OF_ONE_CALL.has(code)) {
      if (this.#down === undefined) this.#logger.warn({ address: this.#address, error: reason }, 'cannot reach Kubo')
      const pauseMs = this.#down === undefined ? FIRST_PAUSE_MS : Math.min(this.#down.pauseMs * 2, LONGEST_PAUSE_MS)
      this.#down = { pauseMs, untilMs: performance.now() + pauseMs, reason }
    }
    return new IpfsUnavailableError(`cannot reach Kubo at ${this.#address} for ${command}: ${reason}`, { cause: error })
  }
}

/** `fetch` wraps what happened to its connection. */
function innermost(error: Error): Error {
  return error.cause instanceof Error ? innermost(error.cause) : error
}

function codeOf(error: Error): string | undefined {
  const { code } = innermost(error) as NodeJS.ErrnoException
  return typeof code === 'string' ? code : undefined
}

/** When all addresses of a host fail, the error that Node makes of it has a code and no message. */
function messageOf(error: Error): string {
  const { message } = innermost(error)
  return message === '' ? (codeOf(error) ?? 'unknown reason') : message
}
