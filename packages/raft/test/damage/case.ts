/**
 * One case of the damage suite: the disks of a minority of an image are damaged, all nodes start, and the group has to come to work again
 * by itself. A node that calls for a new name gets one and joins again, as its service would do. Judged is what a client sees: nothing that
 * was acknowledged is missing anywhere, and a write is taken.
 */

import type { Raft } from '../../src/api.ts'
import type { NodeId } from '../../src/core/types.ts'
import type { LogStorage } from '../../src/ports.ts'
import { CrashFileSystem, PowerCut } from '../storage/crash-file-system.ts'
import type { Random } from '../storage/random.ts'
import { RegisterMachine } from '../support/register-machine.ts'
import { harm } from './harm.ts'
import type { Image, NodeImage } from './image.ts'
import { World } from './world.ts'

/** In virtual time: for an election, repair, a snapshot, two changes of the members. */
const PATIENCE_MS = 60_000
const MAX_POWER_CUTS = 3

export interface Outcome {
  readonly victims: number
  /** Started with what they had, without a fault. */
  readonly sound: number
  readonly repaired: number
  readonly quarantined: number
  /** The power went while a victim was being repaired. */
  readonly powerCuts: number
  readonly ledByVictim: boolean
}

export interface CaseInit {
  readonly image: Image
  readonly seed: number
  /** Stands between a victim and its log, so that the suite can be shown to fail. */
  readonly around?: (log: LogStorage) => LogStorage
}

/** @throws {Error} saying what was done to whom, when something acknowledged is lost or the group does not come back */
export async function runCase({ image, seed, around }: CaseInit): Promise<Outcome> {
  const trial = new Trial(image, seed, around)
  try {
    return await trial.run()
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}\n  ${trial.story.join('\n  ')}`, { cause: error })
  } finally {
    trial.end()
  }
}

interface Life {
  id: NodeId
  fileSystem: CrashFileSystem
  machine: RegisterMachine
  readonly startsAtMs: number
  readonly isVictim: boolean
  raft: Raft<string> | undefined
  readonly stop: AbortController
}

class Trial {
  readonly story: string[] = []
  readonly #world: World
  readonly #random: Random
  readonly #image: Image
  readonly #around: ((log: LogStorage) => LogStorage) | undefined
  readonly #lives: Life[]
  readonly #failures: Error[] = []
  #sound = 0
  #repaired = 0
  #quarantined = 0
  #powerCuts = 0

  constructor(image: Image, seed: number, around: ((log: LogStorage) => LogStorage) | undefined) {
    this.#world = new World(seed)
    this.#random = this.#world.random
    this.#image = image
    this.#around = around
    this.#lives = this.#prepare(image.nodes)
  }

  /** Copies the disks, damages some, and draws who comes when: at times those who lack something are there long before the others. */
  #prepare(nodes: readonly NodeImage[]): Life[] {
    const random = this.#random
    const victims = new Set<NodeId>()
    const count = 1 + random.below((nodes.length - 1) / 2)
    while (victims.size < count) victims.add(nodes[random.below(nodes.length)]!.id)
    const fullest = Math.max(...nodes.map(({ lastIndex }) => lastIndex))
    const late = random.below(2) === 0
    return nodes.map((node) => {
      const isVictim = victims.has(node.id)
      const fileSystem = node.fileSystem.copy()
      let machine = node.machine.crash()
      if (isVictim) {
        const foreign = nodes.find(({ id }) => id !== node.id)!.fileSystem.copy()
        for (let n = random.below(4) === 0 ? 3 : 1; n > 0; n--) {
          this.story.push(`${node.id}: ${harm(fileSystem, foreign, random)}`)
        }
        if (random.below(8) === 0) {
          machine = new RegisterMachine()
          this.story.push(`${node.id}: the state is gone`)
        }
      }
      const isLate = late && !isVictim && node.lastIndex === fullest
      const startsAtMs = random.below(300) + (isLate ? 3000 : 0)
      return { id: node.id, fileSystem, machine, startsAtMs, isVictim, raft: undefined, stop: new AbortController() }
    })
  }

  async run(): Promise<Outcome> {
    const clock = this.#world.clock()
    for (const life of this.#lives) clock.after(life.startsAtMs, () => this.#start(life))
    await this.#demand('all nodes run', () => this.#lives.every(({ raft }) => raft !== undefined))
    await this.#write('after damage')
    const victim = this.#lives.find(({ isVictim }) => isVictim)!
    const ledByVictim = this.#random.below(3) === 0
    if (ledByVictim) {
      await this.#demand(`${victim.id} leads`, () => this.#handTo(victim))
      await this.#write('under the victim')
    }
    this.#judge()
    return {
      victims: this.#lives.filter(({ isVictim }) => isVictim).length,
      sound: this.#sound,
      repaired: this.#repaired,
      quarantined: this.#quarantined,
      powerCuts: this.#powerCuts,
      ledByVictim
    }
  }

  end(): void {
    for (const { stop, raft } of this.#lives) {
      stop.abort()
      void raft?.close().catch(() => {})
    }
  }

  #start(life: Life): void {
    const { id, fileSystem, machine, isVictim, stop } = life
    let faults = 0
    const around = (inner: LogStorage): LogStorage => {
      const log = isVictim && this.#around !== undefined ? this.#around(inner) : inner
      const load = log.load.bind(log)
      log.load = async () => {
        const loaded = await load()
        faults = loaded.faults.length
        return loaded
      }
      return log
    }
    if (isVictim && this.#powerCuts < MAX_POWER_CUTS && this.#random.below(6) === 0) {
      fileSystem.cutAt = fileSystem.operations + 1 + this.#random.below(40)
    }
    const voters = this.#image.nodes.map((node) => node.id)
    const note = (message: string): void =>
      void this.story.push(`${id}, at ${Math.round(this.#world.nowMs)} ms: ${message}`)
    const logger = { debug() {}, info: note, warn: note, error: note }
    this.#world.start({ id, fileSystem, machine, around, logger, signal: stop.signal, knownPeers: voters }).then(
      (raft) => {
        if (stop.signal.aborted) return
        life.raft = raft
        if (isVictim) {
          if (faults > 0) this.#repaired++
          else this.#sound++
        }
        raft.on('halt', ({ reason }) => this.#ended(life, new Error(reason)))
        if (fileSystem.cutAt < Number.POSITIVE_INFINITY) fileSystem.cutAt = Number.POSITIVE_INFINITY
      },
      (error: unknown) => this.#ended(life, error as Error)
    )
  }

  #ended(life: Life, error: Error): void {
    if (life.stop.signal.aborted) return
    life.raft = undefined
    if (life.fileSystem.cutAt < Number.POSITIVE_INFINITY && causes(error).some((cause) => cause instanceof PowerCut)) {
      this.#powerCuts++
      this.story.push(`${life.id}: the power goes at ${this.#world.nowMs} ms`)
      life.fileSystem = life.fileSystem.image(this.#random.below(2 ** 32))
      life.machine = life.machine.crash()
      this.#world.kill(life.id)
      this.#world.clock().after(100, () => this.#start(life))
    } else if (error.name === 'QuarantineNeededError') {
      this.#quarantined++
      this.story.push(`${life.id}: ${error.message}`)
      const former = life.id
      life.id = `${former}#2`
      life.fileSystem = new CrashFileSystem()
      life.machine = new RegisterMachine()
      this.#start(life)
      this.#replace(former, life.id)
    } else {
      this.#failures.push(new Error(`${life.id} ended: ${error.name}: ${error.message}`, { cause: error }))
    }
  }

  /** Asks whoever leads, until it is done: the new name in as a learner and the old one out, then a voter. */
  #replace(former: NodeId, name: NodeId): void {
    const clock = this.#world.clock()
    const attempt = (): void => {
      const leader = this.#leader()
      if (leader !== undefined) {
        const { config } = leader.status()
        const voters = config.voters.filter((id) => id !== former)
        if (config.voters.includes(name)) return
        const peer = leader.status().peers.find(({ id }) => id === name)
        const caughtUp = peer !== undefined && peer.matchIndex > 0 && peer.matchIndex >= leader.status().commitIndex - 1
        const others = config.learners.filter((id) => id !== name)
        const change = caughtUp
          ? { voters: [...voters, name], learners: others }
          : { voters, learners: [...others, name] }
        leader.changeMembers(change).catch(() => {})
      }
      clock.after(200, attempt)
    }
    clock.after(200, attempt)
  }

  #leader(): Raft<string> | undefined {
    return this.#lives.map(({ raft }) => raft).find((raft) => raft?.status().role === 'leader')
  }

  #handTo(life: Life): boolean {
    if (life.raft?.status().role === 'leader') return true
    if (this.#random.below(50) === 0)
      void this.#leader()
        ?.transferLeadership(life.id)
        .catch(() => {})
    return false
  }

  async #demand(what: string, condition: () => boolean): Promise<void> {
    const done = await this.#world.run(() => this.#failures.length > 0 || condition(), PATIENCE_MS)
    if (this.#failures.length > 0) throw this.#failures[0]!
    if (!done) throw new Error(`in vain it was waited until ${what}: ${this.#describe()}`)
  }

  /** Writes once, at whoever leads, and waits until all nodes have it. */
  async #write(text: string): Promise<void> {
    let index: number | undefined
    let asked: Raft<string> | undefined
    const clock = this.#world.clock()
    const attempt = (): void => {
      if (index !== undefined) return
      const leader = this.#leader()
      if (leader !== undefined && leader !== asked) {
        asked = leader
        leader.propose(Buffer.from(text)).then(
          (committed) => {
            index = committed.index
          },
          () => {
            asked = undefined
          }
        )
      }
      clock.after(50, attempt)
    }
    attempt()
    await this.#demand(`all nodes have the write ${text}`, () =>
      this.#lives.every(({ machine }) => machine.texts.at(-1) === text)
    )
    await this.#demand(`all nodes vote`, () => {
      const config = this.#leader()?.status().config
      return (
        config !== undefined &&
        config.outgoing.length === 0 &&
        this.#lives.every(({ id }) => config.voters.includes(id))
      )
    })
  }

  #judge(): void {
    for (const { id, machine } of this.#lives) {
      const texts = new Map(machine.applied.map(({ index, text }) => [index, text]))
      for (const { index, text } of this.#image.acknowledged) {
        if (texts.get(index) !== text) throw new Error(`${id} lacks what was acknowledged at ${index}: ${text}`)
      }
      if (machine.texts.join('\n') !== this.#lives[0]!.machine.texts.join('\n')) {
        throw new Error(`${id} and ${this.#lives[0]!.id} hold different things`)
      }
    }
  }

  #describe(): string {
    return this.#lives
      .map(({ id, raft, machine }) => {
        const status = raft?.status()
        return `${id} ${status === undefined ? 'does not run' : `${status.role} of term ${status.term} at ${status.lastIndex}`}, applied ${machine.appliedIndex()}`
      })
      .join('; ')
  }
}

function causes(error: unknown): unknown[] {
  const found: unknown[] = []
  for (let at: unknown = error; at instanceof Error; at = at.cause) found.push(at)
  return found
}
