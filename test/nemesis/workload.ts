/**
 * Clients that use pins as registers: the name of a pin is its value. A write pins a CID under a name that nobody else gives, a read asks for the
 * pin and insists on a linearizable answer, a delete unpins. Plain HTTP, a connection for each request and no second tries, so that the history says what
 * one request got as its answer. Started by `run.ts`.
 */

import { request as httpRequest } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { absentCid } from '../e2e/support/content.ts'
import type { History, Outcome, Request } from './history.ts'
import type { Random } from './random.ts'

/** A peer, as far as its clients see it. */
export interface Target {
  readonly name: string
  /** `http://host:port` */
  readonly api: string
}

/** Registers in use at a time: few, so that clients meet. */
const KEYS = 3
/** After so many operations a register is left for a new one: what is not known of old operations must not explain everything for ever. */
const OPERATIONS_OF_A_KEY = 400
/** Clients that ask any peer for anything. */
const ROAMING_CLIENTS = 2
/** Mean pause of a client between an answer and its next request, and after a failure. */
const PAUSE_MS = 50
const PAUSE_AFTER_FAILURE_MS = 150
/** Longer than a peer looks for a leader, so that most failures have a reason. */
const ANSWER_TIMEOUT_MS = 20_000
const WRITE_SHARE = 0.6
const DELETE_SHARE = 0.15

interface Key {
  readonly cid: string
  used: number
}

export class Workload {
  private readonly history: History
  private readonly targets: readonly Target[]
  private readonly random: Random
  private readonly stopping = new AbortController()
  private readonly current: Key[]
  private readonly all: Key[] = []
  private clients: readonly Promise<void>[] = []
  private serial = 0

  constructor(history: History, targets: readonly Target[], random: Random) {
    this.history = history
    this.targets = targets
    this.random = random
    this.current = Array.from({ length: KEYS }, () => this.newKey())
  }

  /**
   * Each peer has two clients that stay with it. One does everything, and shows when the peer takes writes; the other only reads, so that it is not
   * held up by a write where there is no leader, and sees what such a peer answers.
   */
  start(): void {
    const anything = (): Request => this.pickRequest()
    const staying = this.targets.flatMap((target) => [
      this.client(() => target, anything),
      this.client(
        () => target,
        () => ({ kind: 'read' })
      )
    ])
    const roaming = Array.from({ length: ROAMING_CLIENTS }, () =>
      this.client(() => this.random.pick(this.targets), anything)
    )
    this.clients = [...staying, ...roaming]
  }

  /** Resolves when every request has its answer. */
  async stop(): Promise<void> {
    this.stopping.abort()
    await Promise.all(this.clients)
  }

  /** Every register that was ever used. */
  cids(): readonly string[] {
    return this.all.map(({ cid }) => cid)
  }

  /** One more write, outside of what the clients do. */
  async write(target: Target): Promise<Outcome> {
    const { cid } = this.random.pick(this.current)
    return await this.ask(target, cid, this.newWrite())
  }

  async read(target: Target, cid: string): Promise<Outcome> {
    return await this.ask(target, cid, { kind: 'read' })
  }

  private async client(pickTarget: () => Target, pickRequest: () => Request): Promise<void> {
    const { signal } = this.stopping
    while (!signal.aborted) {
      const { kind } = await this.ask(pickTarget(), this.pickCid(), pickRequest())
      const pauseMs = this.random.exponential(kind === 'ok' ? PAUSE_MS : PAUSE_AFTER_FAILURE_MS)
      await delay(pauseMs, undefined, { signal }).catch(() => undefined)
    }
  }

  private ask(target: Target, cid: string, request: Request): Promise<Outcome> {
    return this.history.record(cid, target.name, request, () => send(target, cid, request))
  }

  private pickCid(): string {
    const slot = this.random.below(KEYS)
    const key = this.current[slot]!
    if (++key.used >= OPERATIONS_OF_A_KEY) this.current[slot] = this.newKey()
    return key.cid
  }

  private newKey(): Key {
    const key = { cid: absentCid(), used: 0 }
    this.all.push(key)
    return key
  }

  private pickRequest(): Request {
    const drawn = this.random.next()
    if (drawn < WRITE_SHARE) return this.newWrite()
    return { kind: drawn < WRITE_SHARE + DELETE_SHARE ? 'delete' : 'read' }
  }

  private newWrite(): Request {
    return { kind: 'write', value: `w${++this.serial}` }
  }
}

/** Sends one request and waits for its answer, or for {@link ANSWER_TIMEOUT_MS}. */
async function send(target: Target, cid: string, request: Request): Promise<Outcome> {
  try {
    switch (request.kind) {
      case 'write':
        return outcomeOf(request, await exchange('POST', `${target.api}/pins/${cid}?name=${request.value}`))
      case 'read':
        return outcomeOf(request, await exchange('GET', `${target.api}/allocations/${cid}?consistency=linearizable`))
      case 'delete':
        return outcomeOf(request, await exchange('DELETE', `${target.api}/pins/${cid}`))
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const reason = code ?? message
    // Nobody was there to take the request.
    return { kind: code === 'ECONNREFUSED' ? 'refused' : 'unknown', reason }
  }
}

interface Answer {
  readonly status: number
  readonly code: string
  readonly stale: boolean
  readonly body: string
}

function outcomeOf(request: Request, { status, code, stale, body }: Answer): Outcome {
  if (stale) throw new Error('a read that had to be linearizable was answered as stale')
  if (status === 200) {
    const { name } = JSON.parse(body) as { name?: unknown }
    return { kind: 'ok', value: typeof name === 'string' ? name : '' }
  }
  if (code === 'pin-not-found' && request.kind !== 'write') return { kind: 'ok', value: undefined }
  return { kind: code === 'not-ready' ? 'refused' : 'unknown', reason: code === '' ? `status ${status}` : code }
}

function exchange(method: string, url: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(url, { method, agent: false }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (text: string) => {
        body += text
      })
      response.on('error', reject)
      response.on('end', () => {
        const { statusCode, headers } = response
        clearTimeout(timer)
        resolve({
          status: statusCode ?? 0,
          code: String(headers['x-quorate-error'] ?? ''),
          stale: headers['x-quorate-stale'] === 'true',
          body
        })
      })
    })
    const timer = setTimeout(
      () => sent.destroy(new Error(`no answer within ${ANSWER_TIMEOUT_MS} ms`)),
      ANSWER_TIMEOUT_MS
    )
    sent.on('error', (error) => {
      clearTimeout(timer)
      reject(error)
    })
    sent.end()
  })
}
