/** Nodes whose logs are damaged, started one by one in virtual time: who is healed by whom, and who has to wait. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Raft } from '../../src/api.ts'
import type { NodeId } from '../../src/core/types.ts'
import { makeImage, type NodeImage } from '../damage/image.ts'
import { World } from '../damage/world.ts'
import type { CrashFileSystem } from '../storage/crash-file-system.ts'
import { RegisterMachine } from '../support/register-machine.ts'

interface Started {
  readonly id: NodeId
  readonly machine: RegisterMachine
  readonly fileSystem: CrashFileSystem
  raft: Raft<string> | undefined
  error: Error | undefined
}

function start(world: World, image: NodeImage, signal = new AbortController().signal): Started {
  const { id, machine } = image
  const fileSystem = image.fileSystem.copy()
  const started: Started = { id, machine: machine.crash(), fileSystem, raft: undefined, error: undefined }
  return begin(world, started, signal)
}

function begin(world: World, started: Started, signal: AbortSignal): Started {
  const { id, machine, fileSystem } = started
  world.start({ id, machine, fileSystem, signal }).then(
    (raft) => {
      started.raft = raft
    },
    (error: Error) => {
      started.error = error
    }
  )
  return started
}

const segmentsOf = (disk: CrashFileSystem): string[] => disk.files().filter((path) => path.endsWith('.seg'))

/** Flips a bit of what stands at a part of the way through a file. */
function flip(disk: CrashFileSystem, path: string, part: number): void {
  disk.damage(path, (content) => {
    content[Math.floor(content.length * part)]! ^= 16
    return content
  })
}

/** An image of three nodes that all hold several segments. */
async function threeNodes(): Promise<readonly NodeImage[]> {
  for (let seed = 1; ; seed++) {
    const { nodes } = await makeImage(seed)
    const full = nodes.every(
      ({ fileSystem, lastIndex }) => segmentsOf(fileSystem).length > 1 && lastIndex === nodes[0]!.lastIndex
    )
    if (nodes.length === 3 && full) return nodes
  }
}

const leads = (nodes: readonly Started[]): boolean => nodes.some(({ raft }) => raft?.status().role === 'leader')

describe('repair', () => {
  it('lets two nodes with damage at different places heal each other, though nobody leads', async () => {
    const [a, b] = await threeNodes()
    flip(a!.fileSystem, segmentsOf(a!.fileSystem)[0]!, 0.4)
    flip(b!.fileSystem, segmentsOf(b!.fileSystem)[0]!, 0.9)
    const world = new World(1)
    const nodes = [start(world, a!), start(world, b!)]
    assert(await world.run(() => nodes.every(({ raft }) => raft !== undefined), 10_000))
    assert(await world.run(() => leads(nodes), 10_000))
    assert(nodes[0]!.raft!.status().lastIndex >= a!.lastIndex)
  })

  it('waits where the end is unknown and nobody leads, and takes the log of the first who does', async () => {
    const nodes = await threeNodes()
    // A log that was closed knows its end, and needs no leader.
    const damaged = nodes.find(({ closed }) => !closed)!
    const [second, third] = nodes.filter((node) => node !== damaged)
    // All of the last segment: what came after the mark, if anything did, is gone with it.
    damaged.fileSystem.damage(segmentsOf(damaged.fileSystem).at(-1)!, (content) => content.fill(0))
    const world = new World(2)
    const victim = start(world, damaged)
    const others = [start(world, second!)]
    await world.pass(20_000)
    assert.equal(victim.raft, undefined)
    assert.equal(victim.error, undefined)
    assert.equal(leads(others), false)
    others.push(start(world, third!))
    assert(await world.run(() => leads(others) && victim.raft !== undefined, 20_000))
    assert(victim.raft!.status().lastIndex >= damaged.lastIndex)
  })

  it('stops waiting when the signal aborts', async () => {
    const [a] = await threeNodes()
    flip(a!.fileSystem, segmentsOf(a!.fileSystem)[0]!, 0.5)
    const world = new World(3)
    const stop = new AbortController()
    const victim = start(world, a!, stop.signal)
    await world.pass(5000)
    const waits = victim.error === undefined && victim.raft === undefined
    assert(waits)
    stop.abort(new Error('enough'))
    assert(await world.run(() => victim.error !== undefined, 100))
    assert.match(String(victim.error), /enough/)
  })

  it('asks for a new name when both copies of the vote are gone (T53)', async () => {
    const [a] = await threeNodes()
    a!.fileSystem.damage('/raft/hard-state', (content) => content.fill(7))
    const world = new World(4)
    const victim = start(world, a!)
    assert(await world.run(() => victim.error !== undefined, 1000))
    assert.equal(victim.error?.name, 'QuarantineNeededError')
    assert.equal((victim.error as unknown as { reason: string }).reason, 'hard-state-lost')
  })

  it('goes on from the copy of the base, and makes it anew', async () => {
    for (const lost of ['/raft/base.json', '/raft/base-copy.json']) {
      const nodes = await threeNodes()
      nodes[0]!.fileSystem.damage(lost, () => undefined)
      const world = new World(5)
      const victim = start(world, nodes[0]!)
      assert(await world.run(() => victim.raft !== undefined, 100))
      assert(victim.fileSystem.files().includes(lost))
    }
  })

  it('fetches a snapshot for a state that lies behind the log', async () => {
    for (let seed = 1, done = 0; done < 3; seed++) {
      const { nodes, acknowledged } = await makeImage(seed)
      const victim = nodes.find(
        ({ fileSystem }) => !segmentsOf(fileSystem).some((path) => path.includes('-0000000001-'))
      )
      if (victim === undefined) continue
      done++
      const world = new World(seed)
      const others = nodes.filter((node) => node !== victim).map((node) => start(world, node))
      const again = start(world, { ...victim, machine: new RegisterMachine() })
      const whole = (): boolean => again.machine.appliedIndex() >= (acknowledged.at(-1)?.index ?? 0)
      assert(await world.run(() => leads([...others, again]) && whole(), 30_000))
      assert.deepEqual(
        again.machine.applied.slice(0, acknowledged.length),
        acknowledged.toSorted((x, y) => x.index - y.index)
      )
    }
  })
})
