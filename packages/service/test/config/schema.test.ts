import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { defaultDocument } from '../../src/config/document.ts'
import { variablesOf } from '../../src/config/environment.ts'
import { type JsonObject, type JsonValue, jsonKey, type Shape } from '../../src/config/field.ts'
import { parseSize } from '../../src/config/field-types.ts'
import { isObject, objectAt, type SectionSpec, sections } from '../../src/config/schema.ts'
import { ipfsClusterDocument } from './ipfs-cluster-folder.ts'

/** The paths of all keys in an object; an object that is a value, such as a map of tags, counts as one. */
function keysIn(shape: Shape, prefix = ''): string[] {
  return Object.entries(shape).flatMap(([name, entry]) => {
    const key = `${prefix}${jsonKey(name, entry)}`
    return entry.kind === 'group' ? keysIn(entry.members, `${key}.`) : [key]
  })
}

describe('the tables of keys', () => {
  it('know every key that IPFS Cluster writes', () => {
    const document = ipfsClusterDocument()
    for (const { path, shape } of Object.values<SectionSpec>(sections)) {
      const known = new Set(keysIn(shape).map((key) => key.split('.')[0]))
      for (const key of Object.keys(objectAt(document, path) ?? {}))
        assert.ok(known.has(key), `${path.join('.')}.${key}`)
    }
  })

  it('name variables as IPFS Cluster does', () => {
    const names = Object.values<SectionSpec>(sections).flatMap((section) =>
      variablesOf(section).map((variable) => variable.name)
    )
    assert.equal(new Set(names).size, names.length)
    const expected = [
      'CLUSTER_SECRET',
      'CLUSTER_LISTENMULTIADDRESS',
      'CLUSTER_PUBSUB_DFACTOR',
      'CLUSTER_RESOURCEMANAGER_FILEDESCRIPTORSLIMIT',
      'CLUSTER_RAFT_WAITFORLEADERTIMEOUT',
      'CLUSTER_RESTAPI_HTTPLISTENMULTIADDRESS',
      'CLUSTER_RESTAPI_SSLCERTFILE',
      'CLUSTER_RESTAPI_LIBP2PLISTENMULTIADDRESS',
      'CLUSTER_IPFSPROXY_EXTRACTHEADERSTTL',
      'CLUSTER_IPFSHTTP_REPOGCTIMEOUT',
      'CLUSTER_STATELESS_PRIORITYPINMAXAGE',
      'CLUSTER_DISK_METRICTTL',
      'CLUSTER_PINQUEUE_WEIGHTBUCKETSIZE',
      'CLUSTER_EMBEDDED_STORAGEMAX'
    ]
    assert.deepEqual(
      expected.filter((name) => !names.includes(name)),
      []
    )
    assert.ok(!names.includes('CLUSTER_RESTAPI_HEADERS'))
  })
})

describe('the document of a new peer', () => {
  it('has no key that does nothing, and one IPFS node', () => {
    const inert = ['pubsub', 'enable_relay_hop', 'leader_lease_timeout', 'sampling_prob']
    const visit = (value: JsonValue): string[] =>
      isObject(value) ? Object.entries(value).flatMap(([key, member]) => [key, ...visit(member)]) : []
    for (const kind of ['embedded', 'ipfshttp'] as const) {
      const document: JsonObject =
        kind === 'embedded'
          ? defaultDocument({ kind })
          : defaultDocument({ kind, nodeMultiaddress: '/ip4/127.0.0.1/tcp/5001' })
      assert.deepEqual(Object.keys(objectAt(document, ['ipfs_connector']) ?? {}), [kind])
      const keys = new Set(visit(document))
      assert.deepEqual(
        inert.filter((key) => keys.has(key)),
        []
      )
    }
  })
})

describe('a size', () => {
  it('has decimal and binary units', () => {
    const sizes: [string | number, number | undefined][] = [
      ['10GB', 10e9],
      ['1.5 GiB', 1.5 * 2 ** 30],
      [1000, 1000],
      ['7', 7],
      ['0', undefined],
      ['-1GB', undefined],
      ['10 XB', undefined],
      ['9999999TB', undefined]
    ]
    for (const [text, bytes] of sizes) assert.equal(parseSize(text), bytes, String(text))
  })
})
