/** Each fault once, for a short time, on three daemons with clients at work. `run.ts` does it all in a process of its own, and for longer when asked to. */

import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { run } from '../e2e/support/daemon.ts'
import { faultNames } from './faults.ts'
import type { Report } from './report.ts'

const script = fileURLToPath(new URL('run.ts', import.meta.url))
const LONGEST_HOLD_S = 3
const TIMEOUT_MS = 300_000

describe('three daemons, while each fault comes over them', () => {
  let out: string
  let temporary: string
  let output = ''
  let report: Report
  before(async () => {
    out = await mkdtemp(join(tmpdir(), 'quorate-nemesis-report-'))
    temporary = await mkdtemp(join(tmpdir(), 'quorate-nemesis-'))
    const command = [process.execPath, '--conditions=quorate-source', script]
    const words = ['--rounds=1', `--max-hold=${LONGEST_HOLD_S}`, `--out=${out}`]
    const { stdout, stderr } = await run(command, words, { timeoutMs: TIMEOUT_MS, env: { TMPDIR: temporary } })
    output = `${stdout}\n${stderr}`
    const text = await readFile(join(out, 'report.json'), 'utf8').catch(() => undefined)
    assert.ok(text !== undefined, `there is no report; logs are in ${out}:\n${output}`)
    report = JSON.parse(text) as Report
  })
  after(async () => {
    // A run that had to be ended has not tidied up.
    await rm(temporary, { recursive: true, force: true, maxRetries: 5 })
    // What a failure left is evidence.
    if (report?.failures.length === 0) await rm(out, { recursive: true, force: true })
  })

  it('answer linearizably, lose nothing, agree, serve again and end in order', (t) => {
    t.diagnostic(
      `seed ${report.seed}: ${report.operations} operations, ${report.acknowledgedWrites} writes acknowledged`
    )
    assert.deepEqual(report.failures, [], `logs and history are in ${out}:\n${output}`)
    assert.ok(report.acknowledgedWrites > 100, `only ${report.acknowledgedWrites} writes say little`)
    assert.ok(report.pinCount > 0)
  })

  for (const name of faultNames) {
    it(`meet ${name}`, (t) => {
      const reason = report.skipped[name]
      if (reason !== undefined) {
        t.skip(reason)
        return
      }
      const met = report.faults.filter(({ names }) => names.includes(name))
      assert.equal(met.length, 1, output)
      for (const { details, longestWriteGapMs } of met) {
        t.diagnostic(`${details.join('; ')}: longest write gap ${longestWriteGapMs} ms`)
      }
    })
  }
})
