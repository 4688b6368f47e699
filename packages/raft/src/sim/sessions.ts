/**
 * Sessions in the simulator (T44): commands that say which session and number they are of, and clients that send them again, through
 * whoever is there, whenever no answer has come. The state machine of `applier.ts` keeps the table that real applications keep.
 *
 * | command | bytes |
 * | --- | --- |
 * | plain | u32 serial number of the write, zeros |
 * | in a session | u32 serial number, 1, u32 session, u32 number in it, u32 answered through |
 * | opens a session | u32 0, 2 |
 */

import { SessionClient, type SessionCommand } from '../sessions/session-client.ts'
import type { SessionLimits, SessionStamp } from '../sessions/session-table.ts'
import type { SimActor } from './actor.ts'
import type { Linearizability, Operation } from './judges/linearizable.ts'
import type { Prng } from './prng.ts'
import type { Outcome } from './surroundings.ts'

export interface SessionProfile {
  readonly clients: number
  /** Of the table: fewer sessions than clients makes them expire in turn. */
  readonly limits: SessionLimits
  /** Mean time without an answer after which a copy goes to somebody else. Microseconds. */
  readonly meanPatienceUs: number
}

export function drawSessions(prng: Prng): SessionProfile {
  const clients = prng.between(1, 4)
  const maxSessions = prng.below(3) === 0 ? Math.max(1, clients - 1) : clients + 2
  return {
    clients,
    limits: { maxSessions, maxWindow: prng.between(2, 12), maxResultBytes: prng.pick([8, 40, 1000]) },
    meanPatienceUs: prng.logUniform(20_000, 1_000_000)
  }
}

const MARK = { inSession: 1, open: 2 } as const
const COMMAND_BYTES = 17

/** Copies of one command, at most; then nobody waits for it any more. */
const MAX_COPIES = 8

export const openingCommand = (): Uint8Array => Uint8Array.of(0, 0, 0, 0, MARK.open)

function commandIn(serial: number, { session, sequence, answeredThrough }: SessionStamp): Uint8Array {
  const bytes = new Uint8Array(COMMAND_BYTES)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, serial, true)
  bytes[4] = MARK.inSession
  view.setUint32(5, session, true)
  view.setUint32(9, sequence, true)
  view.setUint32(13, answeredThrough, true)
  return bytes
}

const readU32 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)) >>> 0

/** The serial number of the write; 0 for a command that opens a session. */
export const serialOf = (payload: Uint8Array): number => readU32(payload, 0)

/** What a command has to do with sessions. */
export function sessionPart(payload: Uint8Array): SessionStamp | 'opens' | undefined {
  if (payload[4] === MARK.open) return 'opens'
  if (payload[4] !== MARK.inSession) return undefined
  return { session: readU32(payload, 5), sequence: readU32(payload, 9), answeredThrough: readU32(payload, 13) }
}

/** A write on its way. */
export interface SessionWrite {
  readonly client: SessionClient
  readonly command: SessionCommand
  readonly serial: number
  readonly call: Operation
  copies: number
  /** Copies that have not been heard of. */
  open: number
  /** A copy may be in a log. */
  uncertain: boolean
  over: boolean
}

export interface SessionWritersInit {
  readonly profile: SessionProfile
  readonly prng: Prng
  readonly registers: Linearizability
  readonly whom: (prng: Prng) => SimActor
  /** After a while, calls `again` with it. */
  readonly later: (delayUs: number, write: SessionWrite) => void
  /** Of a write that has no place in a session. */
  readonly nextSerial: () => number
  readonly registerOf: (serial: number) => number
}

export class SessionWriters {
  readonly #init: SessionWritersInit
  readonly #clients: SessionClient[]
  /** Who is opening a session. */
  readonly #opening = new Set<SessionClient>()

  constructor(init: SessionWritersInit) {
    this.#init = init
    const { clients, limits } = init.profile
    this.#clients = Array.from({ length: clients }, () => new SessionClient(limits.maxWindow))
  }

  /** Somebody writes, or opens a session in order to. */
  act(): void {
    const { prng, registers, nextSerial, registerOf } = this.#init
    const client = prng.pick(this.#clients)
    if (client.session === undefined) {
      this.#open(client)
      return
    }
    const command = client.begin()
    if (command === undefined) return
    const serial = nextSerial()
    const call = registers.called(registerOf(serial), serial)
    this.again({ client, command, serial, call, copies: 0, open: 0, uncertain: false, over: false })
  }

  #open(client: SessionClient): void {
    const { prng, whom } = this.#init
    if (this.#opening.has(client)) return
    this.#opening.add(client)
    whom(prng).propose([openingCommand()], (outcome) => {
      this.#opening.delete(client)
      if (outcome.type === 'acknowledged' && client.session === undefined) client.opened(outcome.index)
    })
  }

  /** Sends a copy to somebody, if nobody has answered yet. */
  again(write: SessionWrite): void {
    const { prng, whom, later, profile } = this.#init
    if (write.over) return
    if (write.copies === MAX_COPIES) {
      this.#settle(write)
      return
    }
    write.copies++
    write.open++
    whom(prng).propose([commandIn(write.serial, write.command.stamp())], (outcome) => this.#heard(write, outcome))
    later(1 + prng.exponential(profile.meanPatienceUs), write)
  }

  #heard(write: SessionWrite, outcome: Outcome): void {
    write.open--
    if (outcome.type === 'unknown') write.uncertain = true
    if (write.over) return
    if (outcome.type === 'acknowledged') {
      this.#init.registers.answered(write.call)
      this.#settle(write)
    } else if (outcome.type === 'expired') {
      write.client.expired(write.command.stamp().session)
      // The refusal says that this copy changed nothing. Of others, which may come later or came before, nothing is known.
      this.#settle(write)
    }
  }

  #settle(write: SessionWrite): void {
    write.over = true
    write.command.end()
  }
}
