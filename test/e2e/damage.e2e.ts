/** Disks that rot: a peer with a damaged log, without term and vote, or with a damaged state comes back by itself, with all pins. */

import assert from 'node:assert/strict'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { allocationsOf } from './support/content.ts'
import { bootstrapCluster, cleanUp, type Daemon, until } from './support/daemon.ts'
import { PinLoad } from './support/pin-load.ts'

const PINS = 60

async function spoil(path: string, from: number, to: number): Promise<void> {
  const bytes = await readFile(path)
  for (let at = Math.floor(bytes.length * from); at < bytes.length * to; at++) bytes[at]! ^= 0x55
  await writeFile(path, bytes)
}

describe('damage on disk', () => {
  let daemons: readonly Daemon[] = []
  const load = new PinLoad()
  before(async () => {
    daemons = await bootstrapCluster(3)
    await load.send(daemons, PINS)
  })
  after(() => cleanUp(daemons))

  /** Stops a peer hard, has its disk damaged, starts it, and waits until it has all pins; a pin is written meanwhile. */
  async function survives(victim: Daemon, damage: (folder: string) => Promise<void>): Promise<void> {
    await victim.stop('SIGKILL')
    await damage(victim.folder)
    victim.start()
    const others = daemons.filter((daemon) => daemon !== victim)
    await load.send(others, 5)
    await victim.ready()
    await until(`${victim.name} has every acknowledged pin`, async () => {
      const cids = await allocationsOf(victim)
      const missing = [...load.acknowledged].filter((cid) => !cids.has(cid))
      if (missing.length > 0) throw new Error(`${missing.length} of ${load.acknowledged.size} are missing`)
      return true
    })
    await load.send([victim], 5)
  }

  it('in the middle of the log is repaired from the peers', async () => {
    await survives(daemons[0]!, async (folder) => {
      const segment = (await readdir(join(folder, 'raft'))).find((name) => name.endsWith('.seg'))
      await spoil(join(folder, 'raft', segment!), 0.3, 0.5)
    })
  })

  it('in all of the log is repaired from the peers', async () => {
    await survives(daemons[1]!, async (folder) => {
      for (const name of await readdir(join(folder, 'raft'))) {
        if (name.endsWith('.seg') || name.startsWith('base')) await spoil(join(folder, 'raft', name), 0, 1)
      }
    })
  })

  it('in both copies of term and vote gives the peer a new name', async () => {
    await survives(daemons[2]!, (folder) => spoil(join(folder, 'raft', 'hard-state'), 0, 1))
  })

  it('in the database of the state has it built anew', async () => {
    await survives(daemons[0]!, async (folder) => {
      const state = join(folder, 'state')
      for (const generation of (await readdir(state)).filter((name) => name.startsWith('gen-'))) {
        await rm(join(state, generation, 'CURRENT'))
        for (const name of await readdir(join(state, generation))) {
          if (name.startsWith('MANIFEST')) await spoil(join(state, generation, name), 0, 1)
        }
      }
    })
    assert((await readdir(join(daemons[0]!.folder, 'state'))).includes('damaged'))
  })
})
