/**
 * What becomes of the data of machines: rot, zeroed pages, writes that never reached the platter or reached another place of it, a disk that is wiped,
 * put back to an earlier state, or that of another node; and disks that are full for a while. The atlas of faults: only a minority of the first
 * voters is ever struck, so that a majority of every configuration has all it was given, and what struck nodes acknowledged stands elsewhere.
 *
 * What may rot is what the node can know to have been durable (`DiskReader.markedCommits`): the very last commit cannot be told from one that
 * a crash cut short, as `storage/segment-log.ts` says. Called by `simulate-full.ts`.
 */

import { readU64 } from '../../storage/bytes.ts'
import { type History, TraceCode } from '../history.ts'
import { Violation } from '../judges/violation.ts'
import type { Prng } from '../prng.ts'
import { EventKind, type World } from '../world.ts'
import type { DriverBug } from './bugs.ts'
import type { Extent } from './disk-reader.ts'
import type { FullNode } from './full-node.ts'
import type { Disaster, FullProfile } from './full-profile.ts'
import { FileNode, FolderNode, findNode } from './platter.ts'

export interface DiskNemesisStats {
  rot: number
  wipe: number
  rollback: number
  foreign: number
  fullDisks: number
  /** Machines that came back under a new name. */
  renamed: number
}

export interface DiskNemesisComponents {
  readonly world: World
  readonly history: History
  readonly nodes: readonly FullNode[]
  readonly profile: FullProfile
  readonly voterCount: number
  readonly bugs: ReadonlySet<DriverBug>
  /** The process at this slot dies, if it runs, and is started again later. */
  readonly crash: (slot: number) => void
  /** The machine at this slot goes on under a new name. */
  readonly onRenamed: (slot: number) => void
  readonly judge: (task: () => void) => void
}

const PAGE_BYTES = 512

export class DiskNemesis {
  readonly stats: DiskNemesisStats = { rot: 0, wipe: 0, rollback: 0, foreign: 0, fullDisks: 0, renamed: 0 }
  readonly #c: DiskNemesisComponents
  readonly #prng: Prng
  readonly #fullDisks: Prng
  readonly #victims: readonly FullNode[]
  /** Slots whose data are no longer what the node wrote. */
  readonly #harmed = new Set<number>()
  readonly #saved = new Map<number, FolderNode>()
  #stopped = false

  constructor(components: DiskNemesisComponents, prng: Prng) {
    this.#c = components
    this.#prng = prng.fork('disasters')
    this.#fullDisks = prng.fork('full disks')
    const order = prng.fork('victims').shuffle(components.nodes.slice(0, components.voterCount))
    this.#victims = order.slice(0, Math.floor((components.voterCount - 1) / 2))
  }

  start(): void {
    const { profile } = this.#c
    if (profile.disasters.length > 0 && this.#victims.length > 0) {
      this.#repeat(this.#prng, profile.disasterEveryUs, () => this.#strike())
    }
    if (profile.fullDiskEveryUs > 0) this.#repeat(this.#fullDisks, profile.fullDiskEveryUs, () => this.#fill())
  }

  #repeat(prng: Prng, everyUs: number, act: () => void): void {
    const { world } = this.#c
    world.schedule(1 + prng.exponential(everyUs), EventKind.call, -1, 0, 0, () => {
      if (this.#stopped) return
      act()
      this.#repeat(prng, everyUs, act)
    })
  }

  /** No fault from now on. What has rotted stays so until somebody reads it. */
  stop(): void {
    this.#stopped = true
    for (const node of this.#c.nodes) node.disk.full = false
  }

  #fill(): void {
    const { nodes, profile, world } = this.#c
    const { disk } = this.#fullDisks.pick(nodes)
    this.stats.fullDisks++
    disk.full = true
    world.schedule(1 + this.#fullDisks.exponential(profile.fullDiskUs), EventKind.call, -1, 0, 0, () => {
      disk.full = false
    })
  }

  #strike(): void {
    const prng = this.#prng
    const node = prng.pick(this.#victims)
    const disaster = prng.pick(this.#c.profile.disasters)
    const done = this.#befall(node, disaster)
    if (!done) return
    this.stats[disaster]++
    const { history, world } = this.#c
    history.note(world.nowUs, TraceCode.alarm, node.slot, disaster.length, 0, disaster)
  }

  /** @returns whether there was anything to lose */
  #befall(node: FullNode, disaster: Disaster): boolean {
    const { bugs, crash } = this.#c
    switch (disaster) {
      case 'rot':
        return this.#rot(node)
      case 'wipe':
        crash(node.slot)
        if (bugs.has('wiped-under-old-name')) this.#exchange(node, new FolderNode())
        else this.#rename(node)
        return true
      case 'rollback': {
        const saved = this.#saved.get(node.slot)
        this.#saved.delete(node.slot)
        if (saved === undefined) {
          this.#saved.set(node.slot, node.disk.root.copy())
          return false
        }
        crash(node.slot)
        if (bugs.has('rolled-back-under-old-name')) this.#exchange(node, saved)
        else this.#rename(node)
        return true
      }
      case 'foreign': {
        const other = this.#prng.pick(this.#c.nodes)
        // What is empty cannot be told from a beginning.
        if (other === node || other.reader.markedCommits().length === 0) return false
        crash(node.slot)
        this.#exchange(node, other.disk.root.copy())
        return true
      }
    }
  }

  #exchange(node: FullNode, root: FolderNode): void {
    node.exchangeDisk(root)
    this.#harmed.add(node.slot)
  }

  #rename(node: FullNode): void {
    node.rename()
    this.#harmed.delete(node.slot)
    this.#saved.delete(node.slot)
    this.stats.renamed++
    this.#c.onRenamed(node.slot)
  }

  #rot(node: FullNode): boolean {
    const prng = this.#prng
    const extent = this.#whatRots(node)
    if (extent === undefined || extent.to <= extent.from) return false
    this.#harmed.add(node.slot)
    const { node: file, from, to } = extent
    const there = file.platter.view()
    const at = from + prng.below(to - from)
    const end = Math.min(to, at + PAGE_BYTES)
    const kind = prng.below(4)
    if (kind === 0 && extent.name.endsWith('.seg')) {
      // A write that was lost, and with it all that came after it in this file.
      file.damages.push({ type: 'cut', length: from })
    } else if (kind === 1) {
      file.damages.push({ type: 'bytes', at, bytes: new Uint8Array(end - at) })
    } else if (kind === 2) {
      // A write that belongs elsewhere came here.
      const source = prng.below(Math.max(1, there.length - (end - at)))
      file.damages.push({ type: 'bytes', at, bytes: Uint8Array.from(there.subarray(source, source + end - at)) })
    } else {
      file.damages.push({ type: 'bytes', at, bytes: Uint8Array.of((there[at] as number) ^ (1 << prng.below(8))) })
    }
    // Nobody reads what is in memory anyway.
    if (prng.below(3) > 0) this.#c.crash(node.slot)
    return true
  }

  /** Any part of what the node relies on. Of term and vote most often one copy, now and then both. */
  #whatRots(node: FullNode): Extent | undefined {
    const prng = this.#prng
    const { root } = node.disk
    const whole = (path: string, from: number, to: number): Extent | undefined => {
      const file = findNode(root, path)
      if (!(file instanceof FileNode) || file.platter.length < to || file.pending.length > 0) return undefined
      return { node: file, name: path, from, to: to === 0 ? file.platter.length : to }
    }
    const where = prng.below(12)
    if (where === 0) return whole('/state/registers.json', 0, 0)
    if (where === 1) return whole(prng.pick(['/raft/base.json', '/raft/base-copy.json']), 0, 0)
    if (where === 2) return this.#partOfSnapshot(root)
    if (where <= 6) {
      const slot = prng.below(2)
      // Of a change that stands in one copy only, nobody was told yet; without that copy it never was.
      if (!copiesSettled(findNode(root, '/raft/hard-state'))) return undefined
      if (prng.below(4) === 0) this.#spoilCopy(whole('/raft/hard-state', 4096 * (1 - slot), 4096 * (2 - slot)))
      return whole('/raft/hard-state', 4096 * slot, 4096 * (slot + 1))
    }
    const commits = node.reader.markedCommits()
    return commits.length === 0 ? undefined : prng.pick(commits)
  }

  #spoilCopy(extent: Extent | undefined): void {
    if (extent === undefined) return
    const { node, from } = extent
    node.damages.push({ type: 'bytes', at: from + 16, bytes: Uint8Array.of(0xff, 0xff) })
  }

  #partOfSnapshot(root: FolderNode): Extent | undefined {
    const folder = findNode(root, '/raft/snapshots')
    if (!(folder instanceof FolderNode) || folder.names.size === 0) return undefined
    const name = this.#prng.pick([...folder.names.keys()].sort())
    const path = `/raft/snapshots/${name}/${this.#prng.pick(['data', 'manifest.json'])}`
    const file = findNode(root, path)
    if (!(file instanceof FileNode) || file.pending.length > 0) return undefined
    return { node: file, name: path, from: 0, to: file.platter.length }
  }

  // ---- what the nodes say

  halted(slot: number, message: string, faulted: boolean): void {
    if (faulted || this.#harmed.has(slot)) this.#c.crash(slot)
    else this.#object('halt', slot, message)
  }

  /** A node whose data are spoilt says so, and is replaced; any other has to start. */
  notStarted(slot: number, error: Error, faulted: boolean): void {
    if (!faulted && !this.#harmed.has(slot)) {
      this.#object('start', slot, `does not start: ${error.stack ?? error.message}`)
      return
    }
    this.#c.crash(slot)
    if (!faulted) this.#rename(this.#c.nodes[slot] as FullNode)
  }

  #object(judge: string, slot: number, message: string): void {
    const { nodes } = this.#c
    this.#c.judge(() => {
      throw new Violation(judge, `n${slot}, named ${(nodes[slot] as FullNode).id}: ${message}`)
    })
  }
}

/** No change is between its first copy and its second. */
function copiesSettled(node: FileNode | FolderNode | undefined): boolean {
  if (!(node instanceof FileNode) || node.platter.length < 8192) return false
  const bytes = node.platter.view()
  return Math.abs(readU64(bytes, 16) - readU64(bytes, 4096 + 16)) !== 1
}
