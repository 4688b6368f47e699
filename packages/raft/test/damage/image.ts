/**
 * Disks of a group as it was stopped, to be damaged: logs of several segments and terms, some compacted, with snapshots beside some; one
 * peer may have been away, so that what was acknowledged last is on a bare majority. Marks are up to date: half a second passed since the last
 * write, or the node was closed (what is not counted by a mark may be taken for torn; `storage/segment-log.ts`).
 */

import assert from 'node:assert/strict'
import type { Raft } from '../../src/api.ts'
import type { NodeId } from '../../src/core/types.ts'
import { CrashFileSystem } from '../storage/crash-file-system.ts'
import { type Applied, RegisterMachine } from '../support/register-machine.ts'
import { World } from './world.ts'

export interface NodeImage {
  readonly id: NodeId
  readonly fileSystem: CrashFileSystem
  readonly machine: RegisterMachine
  readonly lastIndex: number
  /** It was closed, and not killed. */
  readonly closed: boolean
}

export interface Image {
  readonly nodes: readonly NodeImage[]
  readonly acknowledged: readonly Applied[]
}

const NAMES = ['a', 'b', 'c', 'd', 'e']

export async function makeImage(seed: number): Promise<Image> {
  const world = new World(seed)
  const { random } = world
  const ids = NAMES.slice(0, random.below(2) === 0 ? 3 : 5)
  const nodes = ids.map((id) => ({ id, fileSystem: new CrashFileSystem(), machine: new RegisterMachine() }))
  const rafts = new Map<NodeId, Raft<string>>()
  for (const node of nodes) {
    void world.start({ ...node, voters: ids }).then((raft) => rafts.set(node.id, raft))
  }
  const leader = (): Raft<string> | undefined => [...rafts.values()].find((raft) => raft.status().role === 'leader')
  const acknowledged: Applied[] = []
  let away: NodeId | undefined

  const write = async (count: number): Promise<void> => {
    const tasks = Array.from({ length: count }, async (_, n) => {
      const text = `${acknowledged.length}.${n} ${'x'.repeat(random.below(random.below(8) === 0 ? 900 : 60))}`
      const { index } = await leader()!.propose(Buffer.from(text))
      acknowledged.push({ index, text })
    })
    let done = 0
    for (const task of tasks) void task.then(() => done++)
    assert(await world.run(() => done === count, 20_000), 'the image is not made: writes hang')
  }

  const ready = (): boolean => {
    const at = leader()?.status()
    return at !== undefined && at.commitIndex >= 1 && at.id !== away
  }
  assert(await world.run(ready, 20_000), 'the image is not made: nobody leads')
  for (let phase = 2 + random.below(4); phase > 0; phase--) {
    const kind = random.below(5)
    if (kind === 0 && away === undefined) {
      const followers = ids.filter((id) => id !== leader()!.id)
      away = followers[random.below(followers.length)]!
      world.cutOff(away)
    } else if (kind === 1 && away !== undefined) {
      world.join(away)
      away = undefined
      await world.pass(1500)
    } else if (kind === 2) {
      const others = ids.filter((id) => id !== leader()!.id && id !== away)
      void leader()!
        .transferLeadership(others[random.below(others.length)])
        .catch(() => {})
      await world.pass(1000)
      assert(await world.run(ready, 20_000), 'the image is not made: nobody leads any more')
    } else if (kind === 3) {
      for (const raft of rafts.values()) if (random.below(2) === 0) void raft.checkpoint()
      await world.pass(50)
    }
    await write(1 + random.below(12))
  }
  // The last of all is on a bare majority now and then.
  if (away === undefined && random.below(2) === 0) {
    const followers = ids.filter((id) => id !== leader()!.id)
    for (const id of followers.slice(0, (ids.length - 1) / 2)) world.cutOff(id)
    await write(1 + random.below(3))
  }
  await world.pass(700)

  const images: NodeImage[] = []
  for (const { id, fileSystem, machine } of nodes) {
    const raft = rafts.get(id)!
    const { lastIndex } = raft.status()
    let closed = false
    if (random.below(3) === 0) {
      void raft.close().then(() => {
        closed = true
      })
      assert(await world.run(() => closed, 5000), 'the image is not made: a node does not close')
    }
    images.push({ id, fileSystem: fileSystem.copy(), machine: machine.crash(), lastIndex, closed })
  }
  return { nodes: images, acknowledged }
}
