/**
 * The language of the transcripts beside this file: a text of commands goes in, the same text with what happened comes out.
 *
 * In a transcript a line that begins with `> ` is a command, one with `#` a remark; both stay as they are. All other lines
 * are what happened, and are made anew by `UPDATE_TRANSCRIPTS=1`. Links are first in, first out.
 *
 * ```
 * option NAME N                a core option, before the first `nodes`
 * nodes A B C [learners D]     nodes that know this configuration
 * joiners D E                  nodes that know none
 * campaign A                   A's clock alone runs until it campaigns
 * tick A MS                    A's clock moves once, and nothing else
 * wait MS [A B]                the clocks of all, or of these, run; everything settles
 * quietly wait …               the same, without the lines of messages and writes
 * settle [A B]                 deliver, write and apply until nothing moves
 * deliver [A>B …]              deliver what is under way, once
 * drop [A>B …]                 lose what is under way
 * isolate A [B]                cut these off from all the others
 * cut A>B …                    these links lose everything, in this direction
 * heal                         all links work again
 * hold-disk A, free-disk A     `settle` leaves A's writes alone, or does not any more
 * persist A                    A's writes are durable
 * propose A x y                one command each
 * change A voters A B learners C
 * read A, transfer A [B], crash A, restart A, stream-lost A B
 * compactable A N, snapshot A N, install A, install-fails A
 * status                       one line a node
 * ```
 */

import type { NodeId } from '../../../src/core/types.ts'
import { describeConfig, describeEntries } from './describe.ts'
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
  persist: (stage, args) => void stage.persist(first(args)),
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
      const entries = []
      for (let index = s.baseIndex + 1; index <= s.lastIndex; index++) {
        const entry = actor.core.entry(index)
        if (entry !== undefined) entries.push(entry)
      }
      stage.say(
        `${s.id} ${s.role} term ${s.term} commit ${s.commitIndex} applied ${s.appliedIndex} ${describeConfig(s.config)} log ${s.baseIndex}: ${describeEntries(entries)}`
      )
    }
  }
}

/** Plays a transcript. @returns the text with what happened this time */
export function play(text: string): string {
  const options: Record<string, number> = {}
  let stage: Stage | undefined
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
    stage ??= new Stage(options)
    const command = commands[name]
    if (command === undefined) throw new Error(`no command is called ${name}`)
    const before = stage.lines.length
    command(stage, args)
    for (const happened of stage.lines.slice(before)) {
      if (!quietly || !/ (→|⇥|writes|applies) /.test(happened)) output.push(`  ${happened}`)
    }
  }
  return `${output.join('\n')}\n`
}
