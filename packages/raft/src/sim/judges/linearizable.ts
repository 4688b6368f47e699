/**
 * Linearizability of a few registers (Herlihy and Wing, 1990): there is one order of all writes and reads such that each takes effect at one moment
 * between its call and its answer, and each read shows the latest write before it. Judged from what clients saw alone, knowing nothing of logs.
 * Registers are judged one by one, which is enough, as linearizability is local.
 *
 * No two writes write the same, so each read names its write, and no search is needed (Gibbons and Korach, "Testing Shared Memories", 1997).
 * A write and its reads are a cluster, which has a zone: from the first of its answers to the last of its calls. If these come in that order the zone is
 * a forward one, and the register must hold the value all the while: forward zones never overlap. If not, all calls of the cluster ran together at
 * some time, the zone is a backward one, and any moment in it will do, unless all of it lies in a forward zone of another value.
 *
 * A write whose outcome is not known may take effect at any time or never: it counts only if somebody read it.
 */

import { Violation } from './violation.ts'

/** How many registers there are. */
export const REGISTERS = 8

/** A call of a client. */
export interface Operation {
  readonly register: number
  /** Of a write; undefined for a read. Every write has a value of its own, above 0, the value that registers begin with. */
  readonly written: number | undefined
  readonly calledAt: number
  /** Undefined: not answered, or answered with an outcome that says nothing. */
  answeredAt: number | undefined
  /** What a read that was answered saw. */
  seen: number | undefined
  /** It is known that it did not, and will not, take effect. */
  failed: boolean
}

/** All calls that have to do with one value, and the time in which the register held it. */
interface Cluster {
  readonly value: number
  /** The call of the write. */
  writtenFrom: number
  firstAnswer: number
  lastCall: number
}

export class Linearizability {
  readonly #operations: Operation[] = []
  #now = 0

  /** @param written - the value, for a write */
  called(register: number, written: number | undefined): Operation {
    const operation: Operation = {
      register,
      written,
      calledAt: ++this.#now,
      answeredAt: undefined,
      seen: undefined,
      failed: false
    }
    this.#operations.push(operation)
    return operation
  }

  answered(operation: Operation, seen?: number): void {
    operation.answeredAt = ++this.#now
    operation.seen = seen
  }

  /** The run is over. @throws {Violation} if no order explains what was seen */
  judge(): void {
    for (let register = 0; register < REGISTERS; register++) {
      const operations = this.#operations.filter((operation) => operation.register === register)
      judgeRegister(register, operations)
    }
  }
}

/** @throws {Violation} if no order of the calls on one register explains what was seen; values are unique */
function judgeRegister(register: number, operations: readonly Operation[]): void {
  const broken = (what: string): Violation => new Violation('linearizable', `register ${register}: ${what}`)
  const clusters = new Map<number, Cluster>()
  // What a register begins with counts as written, and answered, before everything.
  clusters.set(0, { value: 0, writtenFrom: 0, firstAnswer: 0, lastCall: 0 })
  const refused = new Set<number>()
  for (const { written, calledAt, answeredAt, failed } of operations) {
    if (written === undefined) continue
    if (failed) refused.add(written)
    const firstAnswer = answeredAt ?? Number.POSITIVE_INFINITY
    clusters.set(written, { value: written, writtenFrom: calledAt, firstAnswer, lastCall: calledAt })
  }
  for (const { seen, calledAt, answeredAt } of operations) {
    if (seen === undefined || answeredAt === undefined) continue
    const cluster = clusters.get(seen)
    if (cluster === undefined) throw broken(`a read saw ${seen}, which nobody wrote`)
    if (refused.has(seen)) throw broken(`a read saw ${seen}, the write of which did not take place`)
    if (answeredAt < cluster.writtenFrom) throw broken(`a read saw ${seen} before it was written`)
    cluster.firstAnswer = Math.min(cluster.firstAnswer, answeredAt)
    cluster.lastCall = Math.max(cluster.lastCall, calledAt)
  }
  // Without any answer nobody knows of the write, and it may never have been.
  judgeZones(
    [...clusters.values()].filter(({ firstAnswer }) => firstAnswer < Number.POSITIVE_INFINITY),
    broken
  )
}

function judgeZones(clusters: readonly Cluster[], broken: (what: string) => Violation): void {
  const forward = clusters.filter(({ firstAnswer, lastCall }) => firstAnswer < lastCall)
  forward.sort((a, b) => a.firstAnswer - b.firstAnswer)
  for (let i = 1; i < forward.length; i++) {
    const [one, other] = [forward[i - 1] as Cluster, forward[i] as Cluster]
    if (other.firstAnswer < one.lastCall) {
      throw broken(
        `it held ${one.value} from ${one.firstAnswer} to ${one.lastCall} and ${other.value} from ${other.firstAnswer} to ${other.lastCall}`
      )
    }
  }
  for (const { value, firstAnswer, lastCall } of clusters) {
    if (firstAnswer < lastCall) continue
    // Forward zones are in order and apart: only the last that begins before this one can hold it.
    const holder = forward.findLast((zone) => zone.firstAnswer < lastCall)
    if (holder !== undefined && firstAnswer < holder.lastCall) {
      throw broken(
        `it held ${holder.value} from ${holder.firstAnswer} to ${holder.lastCall}, so that there was no moment for ${value}, from ${lastCall} to ${firstAnswer}`
      )
    }
  }
}
