/**
 * The facts that decide a transcript, as one line each. They stand in the text like commands, and say nothing when they hold: so a rewritten
 * transcript cannot lose its point unseen, and the same script shows that a bug put back breaks it.
 *
 * ```
 * expect A leader, pre-candidate, candidate, follower, down, halted
 * expect A term 3, vote B, commit 3, applied 2, durable 2, base 4, level 1
 * expect A voters a b c        of the configuration in force, with `leaving …` while it is joint
 * expect A log 1/1:noop …      all entries that A holds in memory
 * expect A disk 1/1:noop …     and those on its disk
 * expect A match B N           how far A, which leads, believes B's log to agree with its own
 * expect said TEXT             among what the command before this led to
 * expect unsaid TEXT           not among it
 * expect never TEXT            at no time so far
 * ```
 */

import type { CoreStatus } from '../../../src/core/types.ts'
import { describeConfig, describeEntries } from '../../../src/sim/describe.ts'
import type { Actor, Stage } from './stage.ts'

const ROLES = ['leader', 'pre-candidate', 'candidate', 'follower']

/** All entries that a node holds in memory. */
export function entriesOf(actor: Actor): string {
  const { baseIndex, lastIndex } = actor.core.status(0)
  const entries = []
  for (let index = baseIndex + 1; index <= lastIndex; index++) {
    const entry = actor.core.entry(index)
    if (entry !== undefined) entries.push(entry)
  }
  return describeEntries(entries)
}

const factOf: Readonly<Record<string, (status: CoreStatus, actor: Actor, args: readonly string[]) => string>> = {
  term: (status) => `${status.term}`,
  vote: (status) => status.votedFor ?? '-',
  commit: (status) => `${status.commitIndex}`,
  applied: (status) => `${status.appliedIndex}`,
  durable: (status) => `${status.durableIndex}`,
  base: (status) => `${status.baseIndex}`,
  level: (status) => `${status.level}`,
  voters: (status) => describeConfig(status.config).slice(1, -1),
  log: (_, actor) => entriesOf(actor),
  disk: (_, actor) => describeEntries(actor.entries),
  match: (status, _, [peer]) => `${peer} ${status.peers.find(({ id }) => id === peer)?.matchIndex ?? 'unknown'}`
}

/**
 * Judges one expectation.
 *
 * @param linesBefore - how many lines there were before the last command
 * @returns what is so instead; undefined if it holds
 */
export function expectation(stage: Stage, args: readonly string[], linesBefore: number): string | undefined {
  const [subject = '', fact = '', ...rest] = args
  const text = args.slice(1).join(' ')
  const said = (lines: readonly string[]): string | undefined => lines.find((line) => line.includes(text))
  if (subject === 'said') return said(stage.lines.slice(linesBefore)) === undefined ? 'nothing said so' : undefined
  if (subject === 'unsaid') return said(stage.lines.slice(linesBefore))
  if (subject === 'never') return said(stage.lines)
  const actor = stage.actor(subject)
  if (fact === 'halted') return actor.halted ? undefined : 'it goes on'
  if (fact === 'down') return actor.up ? 'it is up' : undefined
  if (!actor.up && fact !== 'disk') return 'it is down'
  const status = stage.status(subject)
  if (ROLES.includes(fact)) return status.role === fact ? undefined : `it is ${status.role}`
  const value = factOf[fact]?.(status, actor, rest)
  if (value === undefined) throw new Error(`nobody knows how to expect ${fact}`)
  return value === rest.join(' ') ? undefined : `it is ${value}`
}
