/** Nodes in one process over memory: a group that tests start, crash and restart. */

import type { Raft, RaftInit } from '../../src/api.ts'
import type { CoreOptions, NodeId } from '../../src/core/types.ts'
import { openRaft } from '../../src/driver/driver.ts'
import type { FlightRecordStore } from '../../src/ports.ts'
import { MemoryNetwork } from './memory-network.ts'
import { MemoryDisk, MemoryLog, MemorySnapshots } from './memory-storage.ts'
import { RegisterMachine } from './register-machine.ts'
import { until } from './until.ts'

/** Short times, since nothing here is far away. */
export const quickOptions: Partial<CoreOptions> = { electionTimeoutMs: 150, heartbeatMs: 30 }

export interface Member {
  readonly id: NodeId
  readonly disk: MemoryDisk
  machine: RegisterMachine
  raft: Raft<string>
}

export class Group implements AsyncDisposable {
  readonly network = new MemoryNetwork()
  readonly members = new Map<NodeId, Member>()
  /** Where the nodes that are opened from now on leave their flight records. */
  flightRecords: FlightRecordStore | undefined
  readonly #options: Partial<CoreOptions>

  constructor(options: Partial<CoreOptions> = {}) {
    this.#options = { ...quickOptions, ...options }
  }

  /** Starts nodes that make up a new group. */
  static async start(ids: readonly NodeId[], options: Partial<CoreOptions> = {}): Promise<Group> {
    const group = new Group(options)
    for (const id of ids) await group.open(id, ids)
    return group
  }

  /** Starts a node, or starts it again from what its disk holds. */
  async open(id: NodeId, voters?: readonly NodeId[], own: Partial<CoreOptions> = {}): Promise<Member> {
    const supportedLevel = this.network.levels.get(id)
    const known = this.members.get(id)
    const disk = known?.disk ?? new MemoryDisk()
    const machine = known?.machine.crash() ?? new RegisterMachine()
    const init: RaftInit = {
      id,
      options: { ...this.#options, ...own },
      ...(supportedLevel === undefined ? {} : { supportedLevel }),
      ...(voters === undefined ? {} : { bootstrap: { voters, outgoing: [], learners: [] } })
    }
    const raft = await openRaft(
      {
        storage: new MemoryLog(disk),
        snapshots: new MemorySnapshots(disk),
        transport: this.network.transport(id),
        stateMachine: machine,
        ...(this.flightRecords === undefined ? {} : { flightRecords: this.flightRecords })
      },
      init
    )
    const member: Member = known ?? { id, disk, machine, raft }
    member.machine = machine
    member.raft = raft
    this.members.set(id, member)
    return member
  }

  get(id: NodeId): Member {
    return this.members.get(id)!
  }

  /** Waits for a leader that all members of its configuration that are reachable follow. */
  async leader(among: readonly NodeId[] = [...this.members.keys()]): Promise<Member> {
    let found: Member | undefined
    await until('there is a leader', () => {
      const leaders = among.map((id) => this.get(id)).filter(({ raft }) => raft.status().role === 'leader')
      found = leaders[0]
      return (
        leaders.length === 1 &&
        found!.raft.status().commitIndex > 0 &&
        among.every((id) => this.get(id).raft.status().leader === found!.id)
      )
    })
    return found!
  }

  /** Has a leader take so many commands, and drop all of its log but what it keeps for peers, which is to be far less. */
  async compacted(commands: readonly Uint8Array[]): Promise<Member> {
    const leader = await this.leader()
    const { length } = commands
    await leader.raft.proposeMany(commands)
    await Promise.all([...this.members.values()].map(({ raft }) => raft.waitApplied(length)))
    await leader.raft.checkpoint()
    await until('the log is compacted', () => leader.raft.status().baseIndex > length - 100)
    return leader
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.members.values()].map(({ raft }) => raft.close()))
  }
}
