/** Listings of many peers become one: against a naive merge of everything at once, and the cases of peers that fail. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { PinInfo } from '@quorate/client/api'
import * as fc from 'fast-check'
import { globalOf, type Listing, mergeListings, shortOf, synthesize } from '../src/global-status.ts'

const info = (cid: string, peer: string): PinInfo => ({
  cid,
  name: `name of ${cid}`,
  peer,
  allocations: [],
  origins: [],
  createdMs: 1,
  metadata: {},
  peername: `name of ${peer}`,
  ipfsPeerId: undefined,
  ipfsPeerAddresses: [],
  status: 'pinned',
  timestampMs: 2,
  error: '',
  attemptCount: 0,
  priorityPin: false
})

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** What a test says of one peer: the CIDs it has, and after how many of them its listing fails. */
interface Plan {
  readonly cids: readonly string[]
  readonly failAfter: number | undefined
}

async function* rows(peer: string, { cids, failAfter }: Plan, closed: () => void): AsyncGenerator<PinInfo> {
  try {
    for (const [index, cid] of cids.entries()) {
      if (index === failAfter) throw new Error(`${peer} failed`)
      yield info(cid, peer)
    }
    if (failAfter !== undefined && failAfter >= cids.length) throw new Error(`${peer} failed`)
  } finally {
    closed()
  }
}

function listings(plans: readonly Plan[], closed: () => void = () => undefined): Listing[] {
  return plans.map((plan, index) => ({
    label: { id: `peer${index}`, peername: `name of peer${index}` },
    infos: rows(`peer${index}`, plan, closed)
  }))
}

async function merge(plans: readonly Plan[]): Promise<{ items: [string, Record<string, string>][]; error: unknown }> {
  const items: [string, Record<string, string>][] = []
  try {
    for await (const { cid, peerMap } of mergeListings(listings(plans), compare, () => 7)) {
      const copies = Object.entries(peerMap).map(([id, { status, error }]) => [id, `${status}${error && `: ${error}`}`])
      items.push([cid, Object.fromEntries(copies)])
    }
    return { items, error: undefined }
  } catch (error) {
    return { items, error }
  }
}

/** Everything at once: which items there are, and where each peer's listing broke off. */
function naive(plans: readonly Plan[]): { items: [string, Record<string, string>][]; allFailed: boolean } {
  const given = plans.map(({ cids, failAfter }) => cids.slice(0, failAfter ?? cids.length))
  const failed = plans.map(({ failAfter }) => failAfter !== undefined)
  const cids = [...new Set(given.flat())].sort(compare)
  const items = cids.map((cid): [string, Record<string, string>] => {
    const copies: Record<string, string> = {}
    for (const [index, list] of given.entries()) {
      // A failure shows from the item after the last one that came, since that is when the next was asked for.
      if (list.includes(cid)) copies[`peer${index}`] = 'pinned'
      else if (failed[index] && list.every((other) => other < cid))
        copies[`peer${index}`] = `cluster_error: peer${index} failed`
    }
    return [cid, copies]
  })
  return { items, allFailed: plans.length > 0 && failed.every(Boolean) }
}

const plan: fc.Arbitrary<Plan> = fc.record({
  cids: fc.uniqueArray(fc.constantFrom(...'abcdefghij'), { maxLength: 10 }).map((cids) => cids.sort(compare)),
  failAfter: fc.option(fc.nat(10), { nil: undefined })
})

describe('the listings of all peers', () => {
  it('become one, like a merge of all of them at once', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(plan, { maxLength: 5 }), async (plans) => {
        const merged = await merge(plans)
        const expected = naive(plans)
        assert.deepEqual(merged.items, expected.items)
        assert.equal(merged.error !== undefined, expected.allFailed)
      }),
      { numRuns: 300 }
    )
  })

  it('do not look complete when every peer failed', async () => {
    const { items, error } = await merge([
      { cids: ['a'], failAfter: 1 },
      { cids: [], failAfter: 0 }
    ])
    assert.deepEqual(items, [['a', { peer0: 'pinned', peer1: 'cluster_error: peer1 failed' }]])
    assert.equal((error as Error).message, 'peer0 failed')
  })

  it('are all closed when the reader leaves early', async () => {
    let closedCount = 0
    const plans = Array.from({ length: 3 }, () => ({ cids: ['a', 'b', 'c'], failAfter: undefined }))
    for await (const _item of mergeListings(
      listings(plans, () => closedCount++),
      compare,
      () => 0
    ))
      break
    assert.equal(closedCount, 3)
  })

  it('carry the head of the pin from whichever peer has it', async () => {
    const { value: item } = await mergeListings(
      listings([{ cids: ['a'], failAfter: undefined }]),
      compare,
      () => 0
    ).next()
    assert.deepEqual(item, {
      cid: 'a',
      name: 'name of a',
      allocations: [],
      origins: [],
      createdMs: 1,
      metadata: {},
      peerMap: { peer0: shortOf(info('a', 'peer0')) }
    })
  })
})

describe('the status of a CID that is not pinned', () => {
  it('has an empty head, dated now', () => {
    const copy = synthesize({ id: 'p', peername: 'n' }, 'unpinned', '', 5)
    assert.deepEqual(globalOf('a', undefined, { p: copy }, 5), {
      cid: 'a',
      name: '',
      allocations: [],
      origins: [],
      createdMs: 5,
      metadata: {},
      peerMap: { p: copy }
    })
  })
})
