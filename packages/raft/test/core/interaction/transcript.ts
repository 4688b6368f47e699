/**
 * The language of the transcripts beside this file: a text of commands goes in, the same text with what happened comes out.
 *
 * In a transcript a line that begins with `> ` is a command, one with `#` a remark; both stay as they are. All other lines
 * are what happened, and are made anew by `UPDATE_TRANSCRIPTS=1`. Links are first in, first out.
 *
 * ```
 * option NAME N                a core option, before the first `nodes`
 * own A NAME N                 the same for one node, from its next start on; `version` is the feature level that it knows
 * nodes A B C [learners D]     nodes that know this configuration
 * joiners D E                  nodes that know none
 * campaign A                   A's clock alone runs until it campaigns
 * tick A MS                    A's clock moves once, and nothing else
 * wait MS [A B]                the clocks of all, or of these, run; everything settles
 * quietly wait …               the same, without the lines of messages and writes
 * settle [A B]                 deliver, write and apply until nothing moves
 * deliver [A>B …]              deliver what is under way, once
 * drop [A>B …]                 lose what is under way
 * delay A>B …, copy A>B …      what is under way, or a copy of it, comes late …
 * arrive A>B …                 … and is under way again, behind all that was sent meanwhile
 * isolate A [B]                cut these off from all the others
 * cut A>B …                    these links lose everything, in this direction
 * heal                         all links work again
 * hold-disk A, free-disk A     `settle` leaves A's writes alone, or does not any more
 * persist A [N]                A's writes are durable, or the first N of them
 * propose A x y                one command each
 * change A voters A B learners C
 * read A, transfer A [B], crash A, restart A, stream-lost A B
 * health A unfit               what A thinks of itself from now on
 * digest A N D                 A's state at N, where it has come to, is reported as D
 * says A B N                   A hears from B that it knows feature levels up to N
 * lease A, answer A            may A read by its lease, may it answer what it read so
 * compactable A N, snapshot A N, install A, install-fails A
 * keep-image A, put-back A     remember what A's disk holds; while A is down, take it back to that
 * wipe A                       while A is down, its disk becomes empty
 * state-at A N                 while A is down, its state machine is taken back to N, where it was flushed last
 * status                       one line a node
 * expect …                     a fact that decides; see `expectations.ts`
 * ```
 *
 * A remark `# Broken by: NAME …` names bugs of `core/mutations.ts`: with any of them put back some `expect` fails.
 */

import type { Mutation } from '../../../src/core/mutations.ts'
import type { Health, NodeId } from '../../../src/core/types.ts'
import { describeConfig } from '../../../src/sim/describe.ts'
import { entriesOf, expectation } from './expectations.ts'
import { Stage } from './stage.ts'

type Command = (stage: Stage, args: readonly string[]) => void

const encode = (text: string): Uint8Array => new TextEncoder().encode(text)

/** `A>B A>C` as a filter; nothing means all links. */
const links = (args: readonly string[]): ((from: NodeId, to: NodeId) => boolean) =>
  args.length === 0 ? () => true : (from, to) => args.includes(`${from}>${to}`)

/** Splits `A B learners C` at the word. */
const splitAt = (args: readonly string[], word: string): [string[], string[]] => {
  const at = args.indexOf(word)
  return at < 0 ? [[...args], []] : [args.slice(0, at), args.slice(at + 1)]
}

const first = (args: readonly string[]): string => {
  const arg = args[0]
  if (arg === undefined) throw new Error('the command needs a node')
  return arg
}

const snapshotBase = (stage: Stage, id: NodeId, index: number) => {
  const base = stage.actor(id).core.baseAt(index)
  if (base === undefined) throw new Error(`${id} has no state at ${index}`)
  return base
}

const commands: Readonly<Record<string, Command>> = {
  nodes(stage, args) {
    const [voters, learners] = splitAt(args, 'learners')
    stage.add([...voters, ...learners], { voters, outgoing: [], learners })
  },
  joiners: (stage, args) => stage.add(args, { voters: [], outgoing: [], learners: [] }),
  campaign: (stage, args) => stage.campaign(first(args)),
  tick(stage, [id = '', ms]) {
    stage.nowMs += Number(ms)
    stage.step(id, { type: 'tick' })
  },
  wait: (stage, [ms, ...ids]) => stage.wait(Number(ms), ids.length > 0 ? ids : undefined),
  settle: (stage, ids) => stage.settle(ids.length > 0 ? ids : undefined),
  deliver: (stage, args) => void stage.deliver(links(args)),
  drop: (stage, args) => stage.drop(links(args)),
  delay: (stage, args) => stage.delay(links(args)),
  copy: (stage, args) => stage.delay(links(args), true),
  arrive: (stage, args) => stage.arrive(links(args)),
  isolate: (stage, ids) =>
    stage.isolate(
      ids,
      [...stage.actors.keys()].filter((id) => !ids.includes(id))
    ),
  cut: (stage, pairs) => stage.cut(pairs),
  heal: (stage) => stage.heal(),
  'hold-disk': (stage, args) => {
    stage.actor(first(args)).diskHeld = true
  },
  'free-disk': (stage, args) => {
    stage.actor(first(args)).diskHeld = false
  },
  persist: (stage, [id = '', count]) => void stage.persist(id, count === undefined ? undefined : Number(count)),
  propose: (stage, [id = '', ...texts]) =>
    void stage.step(id, { type: 'propose', ticket: stage.ticket(), payloads: texts.map(encode) }),
  change(stage, [id = '', ...rest]) {
    const [voters, learners] = splitAt(rest.slice(1), 'learners')
    stage.step(id, { type: 'change-members', ticket: stage.ticket(), change: { voters, learners } })
  },
  read: (stage, args) => void stage.step(first(args), { type: 'read', ticket: stage.ticket() }),
  transfer: (stage, [id = '', to]) => void stage.step(id, { type: 'transfer', ticket: stage.ticket(), to }),
  crash: (stage, args) => stage.crash(first(args)),
  restart: (stage, args) => stage.restart(first(args)),
  'keep-image': (stage, args) => stage.keepImage(first(args)),
  'put-back': (stage, args) => stage.putBack(first(args)),
  wipe: (stage, args) => stage.wipe(first(args)),
  'state-at': (stage, [id = '', index]) => {
    stage.actor(id).appliedIndex = Number(index)
  },
  own: (stage, [id = '', name = '', value]) => stage.own(id, name, Number(value)),
  health: (stage, [id = '', health]) => void stage.step(id, { type: 'health', health: health as Health }),
  digest: (stage, [id = '', index, digest]) =>
    void stage.step(id, { type: 'applied', index: Number(index), digest: Number(digest) }),
  says: (stage, [id = '', peer = '', level]) =>
    void stage.step(id, { type: 'peer-up', peer, featureLevel: Number(level) }),
  lease(stage, args) {
    const index = stage.actor(first(args)).core.leaseIndex(stage.nowMs)
    stage.say(
      index === undefined ? `${first(args)} holds no lease` : `${first(args)} may read by its lease at ${index}`
    )
  },
  answer(stage, args) {
    const holds = stage.actor(first(args)).core.holdsLease(stage.nowMs)
    stage.say(`${first(args)} ${holds ? 'answers by its lease' : 'asks again'}`)
  },
  'stream-lost': (stage, [id = '', peer = '']) => void stage.step(id, { type: 'peer-down', peer }),
  compactable: (stage, [id = '', index]) => void stage.step(id, { type: 'compactable', index: Number(index) }),
  snapshot: (stage, [id = '', index]) =>
    void stage.step(id, { type: 'snapshot-ready', base: snapshotBase(stage, id, Number(index)) }),
  install: (stage, args) => stage.install(first(args)),
  'install-fails'(stage, args) {
    const actor = stage.actor(first(args))
    const index = actor.installing?.base.index ?? 0
    actor.installing = undefined
    stage.step(actor.id, { type: 'snapshot-failed', index })
  },
  status(stage) {
    for (const actor of stage.actors.values()) {
      if (!actor.up) {
        stage.say(`${actor.id} is down`)
        continue
      }
      const s = stage.status(actor.id)
      stage.say(
        `${s.id} ${s.role} term ${s.term} commit ${s.commitIndex} applied ${s.appliedIndex} ${describeConfig(s.config)} log ${s.baseIndex}: ${entriesOf(actor)}`
      )
    }
  }
}

/** A transcript that was played. */
export interface Played {
  /** The transcript with what happened this time. */
  readonly text: string
  /** The expectations that did not hold, and halts that were not expected. */
  readonly failures: readonly string[]
}

/** The bugs that a transcript says it finds. */
export function brokenBy(text: string): Mutation[] {
  const names = /^# Broken by: (.*)$/m.exec(text)?.[1]?.split(/[\s,]+/) ?? []
  return names.filter((name) => name !== '') as Mutation[]
}

/**
 * Plays a transcript.
 *
 * @param mutations - bugs to put back in every node. With any the play ends at the first expectation that fails, since the rest of the
 * script need not make sense any more.
 */
export function play(text: string, mutations: ReadonlySet<Mutation> = new Set()): Played {
  const options: Record<string, number> = {}
  const mayHalt = /^> expect .*\bhalted$/m.test(text)
  const failures: string[] = []
  let stage: Stage | undefined
  let linesBefore = 0
  const output: string[] = []
  for (const line of text.split('\n')) {
    if (line.startsWith('#')) output.push(line)
    if (!line.startsWith('> ')) continue
    const words = line.slice(2).trim().split(/\s+/)
    const quietly = words[0] === 'quietly'
    const [name = '', ...args] = quietly ? words.slice(1) : words
    if (output.length > 0 && !output.at(-1)?.startsWith('#') && !output.at(-1)?.startsWith('> ')) output.push('')
    output.push(line)
    if (name === 'option') {
      options[args[0] ?? ''] = Number(args[1])
      continue
    }
    stage ??= new Stage(options, mutations)
    if (name === 'expect') {
      const failure = expectation(stage, args, linesBefore)
      if (failure === undefined) continue
      failures.push(`${line.slice(2)}: ${failure}`)
      output.push(`  FAILED: ${failure}`)
      if (mutations.size > 0) break
      continue
    }
    const command = commands[name]
    if (command === undefined) throw new Error(`no command is called ${name}`)
    linesBefore = stage.lines.length
    command(stage, args)
    const happened = stage.lines.slice(linesBefore)
    for (const said of happened) if (/ HALT /.test(said) && !mayHalt) failures.push(said)
    for (const said of happened) if (!quietly || !/ (→|⇥|writes|applies) /.test(said)) output.push(`  ${said}`)
    if (mutations.size > 0 && failures.length > 0) break
  }
  return { text: `${output.join('\n')}\n`, failures }
}
