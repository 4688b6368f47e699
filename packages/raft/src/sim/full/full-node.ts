/**
 * A machine of the full mode, and the node that runs on it: `openRaft` with the real log and snapshot files over a simulated disk, the real codec over a
 * simulated network, and a clock that is the world's. Each life is a process of its own; the disk outlives it, and the name too, unless the data are lost.
 *
 * Called by `simulate-full.ts` with events, by nemesis, workload and service through `SimActor`; tells the judges what happens.
 */

import type { Raft } from '../../api.ts'
import { EMPTY_CONFIG } from '../../core/members.ts'
import type { Mutation } from '../../core/mutations.ts'
import { createRaftCore } from '../../core/raft.ts'
import type { ClusterConfig, CoreInit, CoreOptions, CoreStatus, LogBase, NodeId, RaftCore } from '../../core/types.ts'
import { openRaftAround } from '../../driver/driver.ts'
import type { Clock, LogStorage } from '../../ports.ts'
import { contextSeed } from '../../storage/log-reader.ts'
import { openSegmentLog } from '../../storage/segment-log.ts'
import { openSnapshotStore } from '../../storage/snapshot-files.ts'
import { largestMessageBytes } from '../../transport/codec.ts'
import type { SimActor } from '../actor.ts'
import type { DiskImage } from '../disk.ts'
import { type History, messageDigest, TraceCode } from '../history.ts'
import type { Panel } from '../judges/panel.ts'
import { NodeView } from '../judges/view.ts'
import { LogImage } from '../log-image.ts'
import type { Prng } from '../prng.ts'
import { drawOptions, upgraded } from '../standing.ts'
import type { ElectionStage, Settle } from '../surroundings.ts'
import type { SwarmProfile } from '../swarm.ts'
import type { World } from '../world.ts'
import { type DriverBug, type GhostTail, withFileBugs, withLogBugs, withSnapshotBugs } from './bugs.ts'
import { DiskReader, holdsSnapshot } from './disk-reader.ts'
import type { FullProfile } from './full-profile.ts'
import { FullRequests } from './full-requests.ts'
import { judgeLoaded, type Standing, standingOf } from './loaded.ts'
import { FolderNode } from './platter.ts'
import { SimulatedProcess } from './process.ts'
import { RegisterMachine } from './register-machine.ts'
import { type MachineDisk, SimulatedFileSystem } from './simulated-file-system.ts'
import { type Packet, SimulatedTransport, type Switchboard, unpack } from './simulated-transport.ts'
import { watchCore } from './watched-core.ts'

const FOLDER = '/raft'

/** What all machines of a run share. */
export interface FullSurroundings {
  readonly world: World
  readonly board: Switchboard
  readonly history: History
  readonly panel: Panel
  readonly mutations: ReadonlySet<Mutation>
  readonly bugs: ReadonlySet<DriverBug>
  readonly consequencesOnly: boolean
  readonly full: FullProfile
  /** Changes once, when the liveness phase begins. */
  profile: SwarmProfile
  /** The first configuration. */
  readonly first: ClusterConfig
  readonly judge: (task: () => void) => void
  readonly onElection: (slot: number, stage: ElectionStage) => void
  /** The node takes part from now on. */
  readonly onOpened: (slot: number) => void
  /** The node halted. @param faulted - an operation of its disk had failed, by the will of the simulator */
  readonly onHalt: (slot: number, message: string, faulted: boolean) => void
  /** The node cannot start from its data. */
  readonly onNotStarted: (slot: number, error: Error, faulted: boolean) => void
}

/** One life. */
interface Life {
  readonly process: SimulatedProcess
  readonly waiting: Set<Settle>
  raft: Raft<number> | undefined
  machine: RegisterMachine | undefined
  /** An operation of the disk failed, by the will of the simulator. */
  faulted: boolean
  /** The log was found damaged, so that what is there in the end may have come from peers. */
  repaired: boolean
  /** What stood on the disk when the process began. */
  readonly before: Standing
}

export class FullNode implements SimActor {
  readonly slot: number
  id: NodeId
  view: NodeView
  boot = 0
  paused = false
  disk: MachineDisk = { root: new FolderNode(), full: false }
  reader: DiskReader
  readonly #around: FullSurroundings
  readonly #prng: Prng
  readonly #clockRate: number
  /** Of its own: priority and lease differ from node to node. */
  readonly #options: CoreOptions
  readonly #versions: Prng
  readonly #requests: FullRequests
  readonly #ghost: GhostTail = { entries: [] }
  #life: Life | undefined
  #names = 0

  constructor(slot: number, prng: Prng, around: FullSurroundings) {
    this.slot = slot
    this.#prng = prng
    this.#around = around
    const { clockSkew } = around.profile.node
    this.#clockRate = clockSkew === 0 ? 1 : 1 + (prng.between(0, 2 * clockSkew) - clockSkew) / 1000
    this.#options = drawOptions(prng.fork('options'), around.profile.core, around.profile.standing)
    this.#versions = prng.fork('versions')
    this.#requests = new FullRequests(this, () => this.#life, prng.fork('lease reads'), around)
    this.id = `n${slot}`
    const { view, reader } = this.#introduce(this.id)
    this.view = view
    this.reader = reader
  }

  /** Judges and network learn a name. */
  #introduce(id: NodeId): { view: NodeView; reader: DiskReader } {
    const { panel, board } = this.#around
    const image: DiskImage = {
      hardState: { term: 0, votedFor: undefined },
      log: new LogImage({ index: 0, term: 0, chain: 0, config: EMPTY_CONFIG }, []),
      state: { index: 0, digest: 0, registers: [] },
      snapshots: []
    }
    const view = new NodeView(panel.views.length, id, image)
    panel.admits(view)
    board.slotOf.set(id, this.slot)
    return { view, reader: this.#readerOf(id, image) }
  }

  #readerOf(id: NodeId, image: DiskImage): DiskReader {
    return new DiskReader(this.disk.root, contextSeed(this.#contextOf(id)), image)
  }

  #contextOf(id: NodeId): Uint8Array {
    return Buffer.from(this.#around.bugs.has('foreign-files-accepted') ? 'anybody' : id)
  }

  get up(): boolean {
    return this.#life !== undefined
  }

  /** The machine gets another disk, and keeps its name: only a node that does not run may. */
  exchangeDisk(root: FolderNode): void {
    this.disk = { root, full: this.disk.full }
    this.reader = this.#readerOf(this.id, this.view.disk)
    this.#ghost.entries = []
  }

  /** The machine begins anew, with an empty disk, as somebody else, and of the newest version that is about. */
  rename(): void {
    const { board, world, history, panel } = this.#around
    const version = Math.max(...panel.views.map((view) => view.version))
    board.slotOf.delete(this.id)
    this.id = `n${this.slot}#${++this.#names}`
    this.disk = { root: new FolderNode(), full: this.disk.full }
    this.#ghost.entries = []
    const { view, reader } = this.#introduce(this.id)
    view.version = version
    this.view = view
    this.reader = reader
    history.note(world.nowUs, TraceCode.change, this.slot, this.#names, 0, `is ${this.id} from now on`)
  }

  // ---- lives

  start(): void {
    const { world, history, profile } = this.#around
    if (this.boot > 0) this.view.version = upgraded(this.view.version, this.#versions, profile.standing)
    this.boot++
    const life: Life = {
      process: new SimulatedProcess(world, this.slot),
      waiting: new Set(),
      raft: undefined,
      machine: undefined,
      faulted: false,
      repaired: false,
      before: standingOf(this.view.disk)
    }
    this.#life = life
    history.note(world.nowUs, TraceCode.start, this.slot, this.boot, 0, this.id)
    this.#open(life).catch((error: unknown) => this.#notStarted(life, error))
  }

  async #open(life: Life): Promise<void> {
    const { full, bugs, first } = this.#around
    const { id } = this
    const prng = this.#prng.fork(`life ${this.boot}`)
    const clock = this.#clockOf(life)
    const files = withFileBugs(this.#filesOf(life, prng.fork('files')), bugs)
    const nonces = prng.fork('nonces')
    const storage = withLogBugs({
      open: () =>
        openSegmentLog({
          folder: FOLDER,
          segmentBytes: full.segmentBytes,
          markDelayMs: full.markDelayMs,
          seedContext: this.#contextOf(id),
          fileSystem: files,
          clock,
          nonce: () => nonces.u32()
        }),
      files,
      folder: FOLDER,
      bugs,
      ghost: this.#ghost
    })
    const load = storage.load.bind(storage)
    const loading: Pick<LogStorage, 'load'> = {
      load: async () => {
        const loaded = await load()
        life.repaired = loaded.faults.length > 0
        return loaded
      }
    }
    const snapshots = withSnapshotBugs(
      openSnapshotStore({
        folder: FOLDER,
        fileSystem: files,
        newId: () => `${nonces.u32().toString(16)}-${this.boot}`
      }),
      (snapshotId) => this.#removeSnapshot(files, snapshotId),
      bugs
    )
    const applies = prng.fork('applies')
    const machine = await RegisterMachine.open({
      fileSystem: files,
      delay: () => life.process.delay(1 + applies.exponential(this.#around.profile.node.meanApplyUs)),
      onState: (state) => this.#stateStands(life, state),
      indexApart: bugs.has('state-index-apart'),
      answersEarly: bugs.has('answers-before-applied')
    })
    life.machine = machine
    const transport = this.#transportOf(life, prng.fork('transport'))
    const raft = await openRaftAround(
      (init) => this.#createCore(life, machine, init),
      {
        storage: Object.assign(storage, loading),
        snapshots,
        transport,
        stateMachine: machine,
        clock,
        logger: this.#loggerOf(life)
      },
      {
        id,
        ...(first.voters.includes(id) ? { bootstrap: first } : {}),
        options: this.#options,
        supportedLevel: this.view.version,
        seed: prng.u32()
      }
    )
    life.raft = raft
    this.#checkpointNowAndThen(life, raft)
    this.#around.onOpened(this.slot)
  }

  #filesOf(life: Life, prng: Prng): SimulatedFileSystem {
    const { history, world } = this.#around
    return new SimulatedFileSystem({
      disk: this.disk,
      process: life.process,
      prng,
      profile: () => this.#around.profile.disk,
      slowest: this.slot === 0,
      onDurable: () => this.#platterChanged(),
      onFault: (code) => {
        life.faulted = true
        history.note(world.nowUs, TraceCode.alarm, this.slot, code.length, 0, code)
      }
    })
  }

  #transportOf(life: Life, prng: Prng): SimulatedTransport {
    const { board, bugs, panel, history, world, judge } = this.#around
    const { id, slot, view } = this
    return new SimulatedTransport({
      id,
      slot,
      process: life.process,
      board,
      prng,
      profile: () => this.#around.profile.node,
      // As tight as it may be.
      maxMessageBytes: this.#maxMessageBytes(),
      limitUnchecked: bugs.has('frame-limit-unchecked'),
      onSend: (to, message) => {
        history.note(world.nowUs, TraceCode.send, slot, board.slotOf.get(to) ?? -1, messageDigest(message), message)
        judge(() => panel.sends(view, to, message))
      }
    })
  }

  #maxMessageBytes(): number {
    const { bugs, profile } = this.#around
    return bugs.has('frame-limit-unchecked') ? 256 : largestMessageBytes(profile.core)
  }

  #clockOf(life: Life): Clock {
    const { world, full } = this.#around
    const rate = this.#clockRate
    return {
      now: () => (world.nowUs * rate) / 1000,
      after: (delayMs, callback) => life.process.after(Math.max(1, Math.ceil((delayMs * 1000) / rate)), callback),
      soon: (callback) => void life.process.after(full.turnUs, callback)
    }
  }

  #loggerOf(life: Life) {
    const { history, world } = this.#around
    const note = (message: string): void => history.note(world.nowUs, TraceCode.alarm, this.slot, 0, 0, message)
    return {
      debug: note,
      info: note,
      warn: note,
      error: (message: string) => {
        note(message)
        if (message.startsWith('The node halts')) this.#halted(life, message)
      }
    }
  }

  /** Once what is under way in the node has come to rest. */
  #halted(life: Life, message: string): void {
    if (life !== this.#life) return
    life.process.after(1, () => this.#around.onHalt(this.slot, message, life.faulted))
  }

  #notStarted(life: Life, error: unknown): void {
    const { history, world } = this.#around
    if (life !== this.#life) return
    const reason = error instanceof Error ? error : new Error(String(error))
    history.note(world.nowUs, TraceCode.alarm, this.slot, 0, 0, `does not start: ${reason.message}`)
    life.process.after(1, () => this.#around.onNotStarted(this.slot, reason, life.faulted))
  }

  #createCore(life: Life, machine: RegisterMachine, init: CoreInit): RaftCore {
    const { panel, mutations, world, history, judge, consequencesOnly, onElection } = this.#around
    const { view, slot } = this
    judge(() => {
      this.#platterChanged()
      view.disk.state = { ...machine.state, index: init.appliedIndex }
      if (!consequencesOnly) judgeLoaded(view, init, life.repaired ? undefined : life.before)
      panel.started(view, (world.nowUs * this.#clockRate) / 1000)
      panel.stateStands(view, machine.state)
    })
    const core = createRaftCore(init, mutations)
    const alive = (): boolean => life.process.alive
    const stored = (base: LogBase): boolean => consequencesOnly || holdsSnapshot(this.disk.root, base)
    return watchCore(core, { slot, view, panel, history, world, judge, alive, stored, onElection })
  }

  #stateStands(life: Life, state: RegisterMachine['state']): void {
    const { panel, history, world, judge } = this.#around
    if (!life.process.alive) return
    history.note(world.nowUs, TraceCode.applied, this.slot, state.index, state.digest, undefined)
    judge(() => panel.stateStands(this.view, state))
  }

  #platterChanged(): void {
    const { panel, judge } = this.#around
    judge(() => {
      if (this.reader.refresh()) panel.diskChanged(this.view)
    })
  }

  #checkpointNowAndThen(life: Life, raft: Raft<number>): void {
    const { checkpointEveryEntries } = this.#around.full
    let last = life.machine?.appliedIndex() ?? 0
    let busy = false
    raft.on('applied', ({ index }) => {
      if (busy || index - last < checkpointEveryEntries) return
      busy = true
      last = index
      void raft.checkpoint().then(() => {
        busy = false
      })
    })
  }

  async #removeSnapshot(files: ReturnType<typeof withFileBugs>, id: string): Promise<void> {
    const folder = `${FOLDER}/snapshots`
    for (const name of (await files.list(folder)) ?? []) {
      if (!name.endsWith(`-${id}`)) continue
      for (const file of (await files.list(`${folder}/${name}`)) ?? []) await files.remove(`${folder}/${name}/${file}`)
    }
  }

  /** The power goes, or the process alone dies. */
  crash(): void {
    const { world, history, panel, board, full, judge } = this.#around
    const life = this.#life
    if (life === undefined) return
    const kill = this.#prng.chance(full.kill)
    history.note(world.nowUs, TraceCode.crash, this.slot, this.boot, kill ? 1 : 0, undefined)
    this.#life = undefined
    this.paused = false
    life.process.die()
    if (board.stations.get(this.id)?.process === life.process) board.stations.delete(this.id)
    if (kill) this.disk.root.writeBack(this.#prng)
    else this.disk.root.lose(this.#prng)
    board.network.processDied(this.slot)
    judge(() => {
      this.reader.refresh()
      panel.crashed(this.view)
    })
    for (const settle of [...life.waiting]) settle({ type: 'unknown' })
  }

  pause(): void {
    this.paused = true
    this.#life?.process.pause()
  }

  resume(): void {
    this.paused = false
    this.#life?.process.resume()
  }

  status(): CoreStatus | undefined {
    return this.#life?.raft?.status()
  }

  // ---- events

  deliver(from: number, connection: number, packet: Packet): void {
    const { world, history, board, profile } = this.#around
    const station = board.stations.get(packet.to)
    const { message } = packet
    if (station?.slot !== this.slot || !board.network.arrives(from, this.slot, connection)) {
      history.note(world.nowUs, TraceCode.lost, this.slot, from, messageDigest(message), message)
      return
    }
    history.note(world.nowUs, TraceCode.deliver, this.slot, from, messageDigest(message), message)
    station.process.happens(() => {
      const read = unpack(packet, largestMessageBytes(profile.core), this.#prng)
      if (read !== undefined) station.handler.onMessage(packet.from, read)
    })
  }

  peerHint(boot: number, peer: NodeId, up: boolean): void {
    const station = this.#around.board.stations.get(this.id)
    if (boot !== this.boot || station === undefined) return
    station.process.happens(() => {
      if (up) station.handler.onPeerUp(peer, { featureLevel: this.#around.panel.levels.knownBy(peer) })
      else station.handler.onPeerDown(peer)
    })
  }

  // ---- requests

  propose(payloads: readonly Uint8Array[], settle: Settle): void {
    this.#requests.propose(payloads, settle)
  }

  read(settle: Settle): void {
    this.#requests.read(settle)
  }

  leaseRead(settle: Settle): void {
    this.#requests.leaseRead(settle)
  }

  changeMembers(voters: readonly NodeId[], learners: readonly NodeId[], settle: Settle): void {
    this.#requests.changeMembers(voters, learners, settle)
  }

  transfer(to: NodeId | undefined, settle: Settle): void {
    this.#requests.transfer(to, settle)
  }
}
