/** What Prometheus is told, and that the manual names all of it. */

import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { createRegistry } from '../../src/metrics/registry.ts'
import { metricTable } from '../../src/metrics/table.ts'
import { observed } from './observed.ts'

const page = new URL('../../../../docs/metrics.md', import.meta.url)
const [begin, end] = ['<!-- Printed from the code: begin -->', '<!-- Printed from the code: end -->']

function printed(text: string): string {
  const rows = metricTable.map((spec) => {
    const labels = 'labels' in spec ? spec.labels.map((label) => `\`${label}\``).join(', ') : ''
    return `| \`${spec.name}\` | ${spec.type} | ${labels} | ${spec.help} |`
  })
  const table = ['| Name | Type | Labels | Meaning |', '| --- | --- | --- | --- |', ...rows].join('\n')
  return `${text.slice(0, text.indexOf(begin) + begin.length)}\n\n${table}\n\n${text.slice(text.indexOf(end))}`
}

describe('the metrics', () => {
  // After a change of the table: QUORATE_UPDATE_DOCS=1 node --conditions=quorate-source --test <this file>
  it('are all in docs/metrics.md', async () => {
    const text = await readFile(page, 'utf8')
    if (process.env.QUORATE_UPDATE_DOCS === '1') await writeFile(page, printed(text))
    else assert.equal(text, printed(text), 'print it anew with QUORATE_UPDATE_DOCS=1')
  })

  it('are told in the format of Prometheus', async () => {
    const lines = (await createRegistry(() => observed).metrics()).split('\n')
    for (const line of [
      '# TYPE ipfscluster_pins gauge',
      'ipfscluster_pins 31',
      '# TYPE ipfscluster_pins_pin_add counter',
      'ipfscluster_pins_pin_add 21',
      'ipfscluster_informer_disk 41',
      'quorate_raft_role{role="leader"} 1',
      'quorate_raft_role{role="follower"} 0',
      'quorate_raft_health{health="degraded"} 1',
      'quorate_raft_health{health="good"} 0',
      'quorate_raft_feature_level 2',
      'quorate_raft_lease_remaining_seconds 1.25',
      'quorate_raft_messages_sent_total{kind="append-entries-response"} 2',
      'quorate_raft_proposals_refused_total{reason="busy"} 4',
      'quorate_raft_follower_lag_entries{peer="b"} 1',
      'quorate_raft_persist_age_seconds 1.5',
      '# TYPE quorate_raft_commit_latency_seconds histogram',
      'quorate_raft_commit_latency_seconds_bucket{le="0.000064"} 1',
      'quorate_raft_commit_latency_seconds_bucket{le="0.000128"} 3',
      'quorate_raft_commit_latency_seconds_bucket{le="0.000256"} 3',
      'quorate_raft_commit_latency_seconds_bucket{le="+Inf"} 6',
      'quorate_raft_commit_latency_seconds_sum 5',
      'quorate_raft_commit_latency_seconds_count 6'
    ]) {
      assert.ok(lines.includes(line), `${line} is missing`)
    }
  })

  it('are read anew each time, and what is not known is left out', async () => {
    let pins = 1
    const registry = createRegistry(() => ({ ...observed, pins, diskWeight: undefined }))
    assert.match(await registry.metrics(), /^ipfscluster_pins 1$/m)
    pins = 2
    const text = await registry.metrics()
    assert.match(text, /^ipfscluster_pins 2$/m)
    assert.match(text, /^ipfscluster_pins_pin_add 21$/m)
    assert.doesNotMatch(text, /^ipfscluster_informer_disk /m)
  })

  it('have names as Prometheus wants them', () => {
    const names = metricTable.map(({ name }) => name)
    assert.equal(new Set(names).size, names.length)
    for (const { name, type } of metricTable) {
      assert.match(name, /^(ipfscluster|quorate)_[a-z_]+$/)
      if (name.startsWith('quorate_')) assert.equal(name.endsWith('_total'), type === 'counter', name)
    }
  })
})
