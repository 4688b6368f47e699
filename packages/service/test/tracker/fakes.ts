/** A clock that the test moves, an IPFS node that does what the test says, and a pinset in memory. */

import type { Pin, PinMode } from '@quorate/client/api'
import { CID } from 'multiformats/cid'
import type { AbortOptions, IpfsConnector, IpfsPinOptions, Logger, PinsetReader } from '../../src/ports.ts'
import type { TrackerClock } from '../../src/tracker/clock.ts'

export class FakeClock implements TrackerClock {
  #nowMs = 1_700_000_000_000
  /** Lets what a timer began come to rest. */
  settle: () => Promise<void> = async () => {}
  #timers: { atMs: number; callback: () => void }[] = []

  now(): number {
    return this.#nowMs
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, callback }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  /** Moves time on to the next timer, again and again, until the condition holds. */
  async advanceUntil(condition: () => boolean): Promise<void> {
    while (!condition()) {
      const nextMs = Math.min(...this.#timers.map((timer) => timer.atMs))
      if (!Number.isFinite(nextMs)) throw new Error('no timer is left that could bring the condition about')
      await this.advance(Math.max(0, nextMs - this.#nowMs))
    }
  }

  /** Moves time on and rings what is due, in order, letting everything settle after each. */
  async advance(durationMs: number): Promise<void> {
    const endMs = this.#nowMs + durationMs
    for (;;) {
      const [next] = this.#timers.filter((timer) => timer.atMs <= endMs).sort((a, b) => a.atMs - b.atMs)
      if (next === undefined) break
      this.#timers = this.#timers.filter((timer) => timer !== next)
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.callback()
      await this.settle()
    }
    this.#nowMs = endMs
    await this.settle()
  }
}

export class Unavailable extends Error {
  override readonly name = 'IpfsUnavailableError'
}

export interface PinCall {
  readonly cid: string
  readonly options: IpfsPinOptions
  resolve(): void
  reject(error: Error): void
}

/** Pins at once unless the content is in `hangs`, when the call waits for the test; `down` makes every call fail. */
export class FakeIpfs implements IpfsConnector {
  readonly pins = new Map<string, PinMode>()
  readonly hangs = new Set<string>()
  readonly failsToPin = new Map<string, string>()
  readonly failsToUnpin = new Map<string, string>()
  readonly calls: PinCall[] = []
  /** In the order in which they were begun. */
  readonly begun: string[] = []
  down = false
  mostAtOnce = 0
  #active = 0

  #check(): void {
    if (this.down) throw new Unavailable('connection refused')
  }

  pending(cid: string): PinCall | undefined {
    return this.calls.find((call) => call.cid === cid)
  }

  async pin(cid: string, options: IpfsPinOptions): Promise<void> {
    this.#check()
    this.begun.push(`pin ${cid}`)
    const failure = this.failsToPin.get(cid)
    if (failure !== undefined) throw new Error(failure)
    this.#active++
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#active)
    try {
      if (this.hangs.has(cid)) await this.#hang(cid, options)
      this.pins.set(cid, options.mode)
    } finally {
      this.#active--
    }
  }

  #hang(cid: string, options: IpfsPinOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      const call: PinCall = { cid, options, resolve, reject }
      this.calls.push(call)
      const remove = (): void => {
        const at = this.calls.indexOf(call)
        if (at >= 0) this.calls.splice(at, 1)
      }
      call.resolve = () => {
        remove()
        resolve()
      }
      call.reject = (error) => {
        remove()
        reject(error)
      }
      options.signal?.addEventListener('abort', () => call.reject(options.signal?.reason as Error))
    })
  }

  async unpin(cid: string): Promise<void> {
    this.#check()
    this.begun.push(`unpin ${cid}`)
    const failure = this.failsToUnpin.get(cid)
    if (failure !== undefined) throw new Error(failure)
    this.pins.delete(cid)
  }

  async *pinLs(): AsyncGenerator<{ cid: string; mode: PinMode }> {
    this.#check()
    for (const [cid, mode] of [...this.pins]) yield { cid, mode }
  }

  async pinLsCid(cid: string): Promise<PinMode | undefined> {
    this.#check()
    return this.pins.get(cid)
  }

  async id() {
    this.#check()
    return { id: undefined, addresses: [], error: '' }
  }

  async start(): Promise<void> {}
  async stop(): Promise<void> {}
  resolve(): Promise<never> {
    return notUsed('resolve')
  }
  putBlocks(): Promise<never> {
    return notUsed('putBlocks')
  }
  getBlock(): Promise<never> {
    return notUsed('getBlock')
  }
  cat(): AsyncIterable<never> {
    throw new Error('the tracker does not call cat')
  }
  repoGc(): AsyncIterable<never> {
    throw new Error('the tracker does not call repoGc')
  }
  repoStat(): Promise<never> {
    return notUsed('repoStat')
  }
  async swarmPeers() {
    return []
  }
  async connectSwarm(): Promise<void> {}
}

async function notUsed(name: string): Promise<never> {
  throw new Error(`the tracker does not call ${name}`)
}

export class FakePinset implements PinsetReader {
  readonly pins = new Map<string, Pin>()

  async get(cid: string): Promise<Pin | undefined> {
    return this.pins.get(cid)
  }

  async *list(_options?: AbortOptions): AsyncGenerator<Pin> {
    const bytes = (pin: Pin): Uint8Array => CID.parse(pin.cid).bytes
    yield* [...this.pins.values()].sort((a, b) => Buffer.compare(bytes(a), bytes(b)))
  }

  count(): number {
    return this.pins.size
  }
}

export class FakeLogger implements Logger {
  readonly lines: string[] = []
  debug(): void {}
  info(...args: [object | string, string?]): void {
    this.lines.push(`info ${args.at(-1)}`)
  }
  warn(...args: [object | string, string?]): void {
    this.lines.push(`warn ${args.at(-1)}`)
  }
  error(...args: [object | string, string?]): void {
    this.lines.push(`error ${args.at(-1)} ${JSON.stringify(args[0])}`)
  }
}
