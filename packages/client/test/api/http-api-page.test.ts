import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { routes } from '@quorate/client/api'
import { notes, routeTable } from './http-api-page.ts'
import { assertPrinted } from './printed-page.ts'

/** A value for each parameter that is not what the parameter means when it is absent. */
const samples: Readonly<Record<string, string>> = {
  cids: 'QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn',
  chunker: 'size-1048576',
  'cid-version': '1',
  consistency: 'local',
  'expire-at': '2100-01-01T00:00:00Z',
  'expire-in': '1h',
  filter: 'pinned,pin',
  format: 'car',
  hash: 'sha2-512',
  layout: 'trickle',
  'meta-<key>': 'value',
  mode: 'direct',
  name: 'name',
  origins: '/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWADahPq7bjc7pecLCkUty32uce3eGfqejLqf3FLJXpUjM',
  'pin-update': 'QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn',
  replication: '2',
  'replication-max': '2',
  'replication-min': '2',
  'stream-channels': 'false',
  to: '12D3KooWADahPq7bjc7pecLCkUty32uce3eGfqejLqf3FLJXpUjM',
  'user-allocations': '12D3KooWADahPq7bjc7pecLCkUty32uce3eGfqejLqf3FLJXpUjM'
}

// After a change of the routes: QUORATE_UPDATE_DOCS=1 node --conditions=quorate-source --test <this file>
describe('docs/http-api.md', () => {
  it('is in step with the routes', async () => {
    await assertPrinted('http-api.md', routeTable())
  })

  it('names only parameters that their route reads', () => {
    for (const [name, { parameters }] of Object.entries(notes)) {
      const { query } = routes[name as keyof typeof routes]
      const plain = query.read(new URLSearchParams())
      for (const parameter of parameters) {
        const read = query.read(new URLSearchParams({ [parameter]: samples[parameter] ?? 'true' }))
        assert.notDeepEqual(read, plain, `${name} does not look at ${parameter}`)
      }
    }
  })

  it('explains every parameter that it names', async () => {
    const page = await readFile(new URL('../../../../docs/http-api.md', import.meta.url), 'utf8')
    for (const parameter of new Set(Object.values(notes).flatMap(({ parameters }) => parameters))) {
      assert.match(page, new RegExp(`^\\| \`${parameter}\``, 'm'), `no row explains ${parameter}`)
    }
  })
})
