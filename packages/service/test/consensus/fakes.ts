/** A raft node and an RPC that do what the test says. Neither keeps time nor talks to anybody. */

import type {
  ClusterConfig,
  Committed,
  CoreStatus,
  MembershipChange,
  PeerStatus,
  Raft,
  RaftEvents
} from '@quorate/raft'
import type { Logger } from '../../src/ports.ts'
import type { PeerRpc } from '../../src/rpc/peer-rpc.ts'
import { decodeOperation, type OpResult } from '../../src/state/ops.ts'

export const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

/** Lets everything that is due run. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn()
}

export const named = (name: string, more: object = {}): Error =>
  Object.assign(new Error(`a ${name}`), { name, ...more })

export class FakeRaft implements Raft<OpResult> {
  readonly id: string
  config: ClusterConfig
  leader: string | undefined
  lastIndex = 0
  progress: PeerStatus[] = []
  /** What was proposed and changed, in order, in words. */
  readonly done: string[] = []
  onPropose: (command: Uint8Array, signal?: AbortSignal) => Promise<OpResult> = async () => ({ ok: true, kind: 'pin' })
  onChange: (change: MembershipChange) => Promise<void> = async () => undefined
  onBarrier: (signal?: AbortSignal) => Promise<number> = async () => this.lastIndex
  onApplied: (index: number, signal?: AbortSignal) => Promise<void> = async () => undefined
  readonly #listeners = new Map<string, Set<(event: never) => void>>()

  constructor(id: string, config: Partial<ClusterConfig> = {}) {
    this.id = id
    this.config = { voters: [], outgoing: [], learners: [], ...config }
  }

  async propose(command: Uint8Array, options: { signal?: AbortSignal } = {}): Promise<Committed<OpResult>> {
    const { kind } = decodeOperation(command)
    // Opened before the first write; of no interest to most tests.
    if (kind === 'session-open') return { index: ++this.lastIndex, term: 1, result: { ok: true, kind } }
    this.done.push(kind)
    const result = await this.onPropose(command, options.signal)
    return { index: ++this.lastIndex, term: 1, result }
  }

  proposeMany(): Promise<never> {
    throw new Error('not used')
  }

  readBarrier(options: { signal?: AbortSignal } = {}): Promise<number> {
    return this.onBarrier(options.signal)
  }

  async leaseRead<T>(read: () => T | Promise<T>, options: { signal?: AbortSignal } = {}): Promise<T> {
    await this.onBarrier(options.signal)
    return read()
  }

  reportSpace(): void {}

  waitApplied(index: number, options: { signal?: AbortSignal } = {}): Promise<void> {
    return this.onApplied(index, options.signal)
  }

  async changeMembers(change: MembershipChange): Promise<void> {
    await this.onChange(change)
    this.done.push(`${change.voters.join(',')}|${change.learners.join(',')}`)
    this.setConfig({ ...change, outgoing: [] })
  }

  setConfig(config: Partial<ClusterConfig>): void {
    this.config = { ...this.config, ...config }
    this.emit('config', { config: this.config, index: this.lastIndex, committed: true })
  }

  setLeader(leader: string | undefined): void {
    this.leader = leader
    this.emit('role', { role: leader === this.id ? 'leader' : 'follower', term: 1, leader })
  }

  async transferLeadership(): Promise<void> {}

  status(): CoreStatus {
    const { id, leader, config, lastIndex } = this
    return {
      id,
      role: leader === id ? 'leader' : 'follower',
      term: 1,
      votedFor: undefined,
      leader,
      baseIndex: 0,
      lastIndex,
      lastTerm: 1,
      durableIndex: lastIndex,
      commitIndex: lastIndex,
      appliedIndex: lastIndex,
      config,
      configIndex: 0,
      configCommitted: true,
      logBytes: 0,
      health: 'good',
      priority: 0,
      leaseRemainingMs: 0,
      level: 1,
      supportedLevel: 2,
      peers: this.progress
    } as unknown as CoreStatus
  }

  async dumpFlightRecord(): Promise<string> {
    return ''
  }

  metrics(): never {
    throw new Error('not used')
  }

  on<K extends keyof RaftEvents>(event: K, listener: (event: RaftEvents[K]) => void): () => void {
    const listeners = this.#listeners.get(event) ?? new Set()
    this.#listeners.set(event, listeners)
    listeners.add(listener as (event: never) => void)
    return () => void listeners.delete(listener as (event: never) => void)
  }

  emit<K extends keyof RaftEvents>(event: K, value: RaftEvents[K]): void {
    for (const listener of this.#listeners.get(event) ?? []) (listener as (event: RaftEvents[K]) => void)(value)
  }

  get listenerCount(): number {
    return [...this.#listeners.values()].reduce((count, listeners) => count + listeners.size, 0)
  }

  async checkpoint(): Promise<void> {}
  async close(): Promise<void> {}
}

export type FakeCall = (peer: string, method: string, request: unknown, signal?: AbortSignal) => Promise<unknown>

/** Calls go to `onCall`; handlers are kept by their method. */
export class FakeRpc {
  readonly handlers = new Map<
    string,
    (request: never, context: { peer: string; signal: AbortSignal }) => Promise<unknown>
  >()
  readonly calls: string[] = []
  onCall: FakeCall
  /** Asked for a session, ahead of the first write. Not among `calls`. */
  onOpen: (peer: string) => Promise<unknown> = async () => ({ index: 1, result: { ok: true, kind: 'session-open' } })

  constructor(onCall: FakeCall = () => Promise.reject(named('RpcUnreachableError', { code: 'dial-failed' }))) {
    this.onCall = onCall
  }

  get asPeerRpc(): PeerRpc {
    return this as unknown as PeerRpc
  }

  handle(
    method: string,
    handler: (request: never, context: { peer: string; signal: AbortSignal }) => Promise<unknown>
  ): void {
    this.handlers.set(method, handler)
  }

  /** As a peer would. */
  receive(peer: string, method: string, request: unknown): Promise<unknown> {
    return this.handlers.get(method)!(request as never, { peer, signal: new AbortController().signal })
  }

  call(peer: string, method: string, request: unknown, options: { signal?: AbortSignal } = {}): Promise<unknown> {
    if (method === 'Consensus.propose' && decodeOperation((request as { op: Uint8Array }).op).kind === 'session-open') {
      return this.onOpen(peer)
    }
    this.calls.push(`${peer} ${method}`)
    return this.onCall(peer, method, request, options.signal)
  }
}

/** Never settles but by its signal. */
export const hang = (signal: AbortSignal | undefined): Promise<never> =>
  new Promise((_resolve, reject) => {
    if (signal?.aborted === true) reject(signal.reason)
    else signal?.addEventListener('abort', () => reject(signal.reason))
  })
