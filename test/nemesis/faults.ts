/**
 * What can happen to a cluster. Each fault does its harm, holds for a while, and undoes what it did; a process that it ended is started again.
 * `run.ts` picks them, measures around them, and asks afterwards whether all is well.
 */

import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { until } from '../e2e/support/daemon.ts'
import type { NemesisCluster, NemesisPeer } from './cluster.ts'
import type { Direction, PeerNetwork } from './network.ts'
import type { Random } from './random.ts'

export interface FaultContext {
  readonly cluster: NemesisCluster
  readonly random: Random
  /** Longest time that a fault holds. */
  readonly maxHoldMs: number
  /** Told what is done, as it is done. */
  readonly note: (text: string) => void
}

export const faultNames = [
  'kill',
  'kill-all',
  'pause',
  'long-pause',
  'partition',
  'one-way',
  'full-disk',
  'rot',
  'wipe',
  'roll-back'
] as const
export type FaultName = (typeof faultNames)[number]

/** What a fault needs beside processes. */
export const faultNeeds: Readonly<Record<FaultName, 'network' | 'disk' | undefined>> = {
  kill: undefined,
  'kill-all': undefined,
  pause: undefined,
  'long-pause': undefined,
  partition: 'network',
  'one-way': 'network',
  'full-disk': 'disk',
  rot: undefined,
  wipe: undefined,
  'roll-back': undefined
}

/** After these a peer may have forgotten what it promised: of three only one at a time may, or nobody knows what a majority promised. */
export const forgetful: ReadonlySet<FaultName> = new Set(['rot', 'wipe', 'roll-back'])

const SHORTEST_HOLD_MS = 100
/** Longer than anything that waits for a peer: it comes back to a cluster that has gone on without it. */
const LONG_PAUSE_MS = 30_000
/** For a peer that was killed to take part again. */
const RETURN_MS = 60_000

/** Each resolves when its harm is undone. */
export const faults: Readonly<Record<FaultName, (context: FaultContext) => Promise<void>>> = {
  async kill(context) {
    const victim = pickVictim(context)
    const holdMs = hold(context)
    context.note(`kill -9 of ${describe(context, victim)}, started again after ${holdMs} ms`)
    await victim.end('SIGKILL')
    await delay(holdMs)
    victim.start()
  },

  async 'kill-all'({ cluster, note }) {
    note('kill -9 of all peers at once, started again at once')
    await Promise.all(cluster.peers.map((peer) => peer.end('SIGKILL')))
    for (const peer of cluster.peers) peer.start()
  },

  pause: (context) => pauseFor(context, hold(context)),

  'long-pause': (context) => pauseFor(context, LONG_PAUSE_MS),

  async partition(context) {
    const { cluster, random } = context
    const victim = pickVictim(context)
    // One peer alone, or with more than three peers at times a minority of several.
    const others = random.shuffled(cluster.peers.filter((peer) => peer !== victim))
    const cut = [victim, ...others.slice(0, random.below(Math.floor((cluster.peers.length - 1) / 2)))]
    const lost = cut.flatMap((one) =>
      cluster.peers
        .filter((peer) => !cut.includes(peer))
        .flatMap((peer) => [
          { from: one.at, to: peer.at },
          { from: peer.at, to: one.at }
        ])
    )
    await loseFor(context, `${cut.map((peer) => describe(context, peer)).join(' and ')} cut off`, lost)
  },

  async 'one-way'(context) {
    const { cluster, random } = context
    const victim = pickVictim(context)
    const others = cluster.peers.filter((peer) => peer !== victim)
    const who = describe(context, victim)
    const all = random.next() < 0.5
    const met = all ? others : [random.pick(others)]
    const names = met.map(({ name }) => name).join(' and ')
    if (random.next() < 0.5) {
      const lost = met.map((peer) => ({ from: victim.at, to: peer.at }))
      await loseFor(context, `all from ${who} to ${names} lost`, lost)
    } else {
      const lost = met.map((peer) => ({ from: peer.at, to: victim.at }))
      await loseFor(context, `all from ${names} to ${who} lost`, lost)
    }
  },

  async 'full-disk'(context) {
    const victim = pickVictim(context)
    const { disk } = victim
    if (disk === undefined) throw new Error(`${victim.name} has no small disk`)
    const holdMs = Math.max(hold(context), Math.min(1_000, context.maxHoldMs))
    context.note(`the disk of ${describe(context, victim)} full for ${holdMs} ms`)
    // It gives its ballast up and goes on, leads no more, and takes part as before once there is room; were it to end, the run would fail.
    try {
      await disk.fill()
      await delay(holdMs)
    } finally {
      await disk.drain()
    }
    context.note(`${victim.name} went on without room`)
  },

  async rot(context) {
    const { random } = context
    const victim = pickVictim(context)
    const who = describe(context, victim)
    await victim.whileEnded(async () => {
      const files = await filesIn(victim.raftFolder)
      if (files.length === 0) {
        noteWithoutData(context, victim)
        return
      }
      const path = random.pick(files)
      const bytes = await readFile(path)
      const at = random.below(Math.max(1, bytes.length))
      const count = Math.min(1 + random.below(16), bytes.length - at)
      for (let i = at; i < at + count; i++) bytes[i]! ^= 1 + random.below(255)
      await writeFile(path, bytes)
      context.note(`kill -9 of ${who}, and ${count} bytes from ${at} on of ${relative(victim.raftFolder, path)} spoilt`)
    })
  },

  async wipe(context) {
    const victim = pickVictim(context)
    context.note(`kill -9 of ${describe(context, victim)}, and all its consensus data lost`)
    await victim.whileEnded(() => rm(victim.raftFolder, { recursive: true, force: true }))
  },

  async 'roll-back'(context) {
    const victim = pickVictim(context)
    const copy = `${victim.raftFolder}.copy`
    let empty = false
    await victim.whileEnded(async () => {
      empty = (await filesIn(victim.raftFolder)).length === 0
      if (empty) noteWithoutData(context, victim)
      else await cp(victim.raftFolder, copy, { recursive: true })
    })
    if (empty) return
    // What it acknowledges from here on is what it will have forgotten.
    await until('it takes part again', () => Promise.resolve(victim.ready), RETURN_MS)
    await delay(Math.max(hold(context), Math.min(1_000, context.maxHoldMs)))
    context.note(`kill -9 of ${describe(context, victim)}, and its consensus data put back to an older copy`)
    await victim.whileEnded(async () => {
      await rm(victim.raftFolder, { recursive: true, force: true })
      await cp(copy, victim.raftFolder, { recursive: true })
      await rm(copy, { recursive: true, force: true })
    })
  }
}

/** Of a peer that was wiped a moment ago there is nothing to spoil. */
function noteWithoutData({ note }: FaultContext, victim: NemesisPeer): void {
  note(`kill -9 of ${victim.name}, which has no consensus data yet`)
}

/** All files below a folder, in a fixed order; none if it is not there. */
async function filesIn(folder: string): Promise<string[]> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return []
      throw error
    }
  )
  return found
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
}

async function pauseFor(context: FaultContext, holdMs: number): Promise<void> {
  const victim = pickVictim(context)
  context.note(`SIGSTOP of ${describe(context, victim)} for ${holdMs} ms`)
  victim.signal('SIGSTOP')
  try {
    await delay(holdMs)
  } finally {
    victim.signal('SIGCONT')
  }
}

/** The leader as often as not. */
function pickVictim({ cluster, random }: FaultContext): NemesisPeer {
  const leader = random.next() < 0.5 ? cluster.leader() : undefined
  return leader ?? random.pick(cluster.peers)
}

function hold({ random, maxHoldMs }: FaultContext): number {
  return Math.round(random.logUniform(Math.min(SHORTEST_HOLD_MS, maxHoldMs), maxHoldMs))
}

const describe = ({ cluster }: FaultContext, peer: NemesisPeer): string =>
  peer === cluster.leader() ? `${peer.name} (leader)` : peer.name

async function loseFor(context: FaultContext, what: string, lost: readonly Direction[]): Promise<void> {
  const network = networkOf(context.cluster)
  // Nothing shorter than an election is felt.
  const holdMs = Math.max(hold(context), Math.min(1_500, context.maxHoldMs))
  context.note(`${what} for ${holdMs} ms`)
  await network.lose(lost)
  try {
    await delay(holdMs)
  } finally {
    await network.heal()
  }
}

function networkOf({ network }: NemesisCluster): PeerNetwork {
  if (network === undefined) throw new Error('this fault needs a network of its own')
  return network
}
