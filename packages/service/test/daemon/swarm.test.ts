/** The IPFS nodes of the members are connected with each other, as they become known and come back. */

import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { IpfsId } from '@quorate/client/api'
import { SwarmKeeper } from '../../src/daemon/swarm.ts'
import type { IpfsConnector } from '../../src/ports.ts'
import { silent, turn, until } from '../consensus/fakes.ts'

function setUp(context: TestContext, id: () => Promise<IpfsId>) {
  const connected: (readonly string[])[] = []
  let failing = false
  const connector = {
    id,
    connectSwarm: async (addresses: readonly string[]) => {
      connected.push(addresses)
      if (failing) throw new Error('not yet')
    }
  } as unknown as IpfsConnector
  const keeper = new SwarmKeeper({ connector, logger: silent }, 0)
  context.after(() => keeper.stop())
  return { keeper, connected, fail: (how: boolean) => (failing = how) }
}

const idOf = (id: string | undefined, ...addresses: string[]): IpfsId => ({ id, addresses, error: '' })

describe('the IPFS nodes of the members', () => {
  it('are connected in one go when several become known together, and again only when one changes', async (context) => {
    const { keeper, connected } = setUp(context, async () => idOf('x'))
    await keeper.start(() => undefined)
    keeper.setPeer('b', ['/b'])
    keeper.setPeer('c', ['/c1', '/c2'])
    await until(() => connected.length > 0)
    keeper.setPeer('b', ['/b'])
    keeper.setPeer('c', ['/c3'])
    await until(() => connected.length > 1)
    assert.deepEqual(connected, [
      ['/b', '/c1', '/c2'],
      ['/b', '/c3']
    ])
  })

  it('are tried again after a failure, and once although one changes meanwhile', async (context) => {
    context.mock.timers.enable({ apis: ['setTimeout'] })
    const { keeper, connected, fail } = setUp(context, async () => idOf('x'))
    const advance = async (durationMs: number): Promise<void> => {
      context.mock.timers.tick(durationMs)
      await turn()
    }
    await keeper.start(() => undefined)
    fail(true)
    keeper.setPeer('b', ['/b'])
    await advance(100)
    assert.equal(connected.length, 1)
    fail(false)
    await advance(15_000)
    assert.equal(connected.length, 2)
    await advance(60_000)
    assert.equal(connected.length, 2)
  })

  it('are left alone after the end', async (context) => {
    context.mock.timers.enable({ apis: ['setTimeout'] })
    const { keeper, connected } = setUp(context, async () => idOf('x'))
    await keeper.start(() => undefined)
    keeper.setPeer('b', ['/b'])
    keeper.stop()
    keeper.setPeer('c', ['/c'])
    context.mock.timers.tick(60_000)
    await turn()
    assert.deepEqual(connected, [])
  })
})

describe('the own IPFS node', () => {
  it('is asked until it answers, and a change of its answer is told', async (context) => {
    context.mock.timers.enable({ apis: ['setTimeout'] })
    const answers: (IpfsId | Error)[] = [
      new Error('starting'),
      idOf(undefined),
      idOf('x', '/1'),
      idOf('x', '/1'),
      idOf('x', '/2')
    ]
    let askedCount = 0
    const { keeper } = setUp(context, async () => {
      const answer = answers[askedCount++]
      if (answer instanceof Error || answer === undefined) throw answer ?? new Error('gone')
      return answer
    })
    let toldCount = 0
    await keeper.start(() => toldCount++)
    assert.equal(keeper.id(), undefined)
    const seen: unknown[] = []
    for (const waitMs of [200, 200, 15_000, 15_000, 15_000]) {
      context.mock.timers.tick(waitMs)
      await turn()
      seen.push([keeper.id()?.addresses.join(), toldCount])
    }
    assert.deepEqual(seen, [
      ['', 1],
      ['/1', 2],
      ['/1', 2],
      ['/2', 3],
      // A node that does not answer any more is who it was.
      ['/2', 3]
    ])
  })
})
