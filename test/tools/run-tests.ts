/**
 * Runs the tests of the whole repository, each file in a process of its own, and ends with one line of totals.
 *
 * `npm test` runs everything: the static checks, then the groups below in order of cost. `--only=unit,e2e` picks groups,
 * further words pick files by a part of their path.
 */
import { spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { fileURLToPath } from 'node:url'

interface Group {
  readonly name: string
  readonly files: readonly string[]
  /** Files at a time. End-to-end tests start several daemons each, so they run one by one. */
  readonly concurrency: number
  /** Most milliseconds for one file. */
  readonly timeoutMs: number
}

const groups: readonly Group[] = [
  {
    name: 'unit',
    files: ['packages/*/test/**/*.test.ts', 'test/conformance/**/*.test.ts', 'test/nemesis/**/*.test.ts'],
    concurrency: 2,
    timeoutMs: 180_000
  },
  { name: 'simulation', files: ['packages/*/test/**/*.sim.ts'], concurrency: 2, timeoutMs: 900_000 },
  { name: 'e2e', files: ['test/e2e/**/*.e2e.ts', 'test/nemesis/**/*.e2e.ts'], concurrency: 1, timeoutMs: 420_000 }
]

interface Totals {
  passed: number
  failed: number
  skipped: number
}

const root = fileURLToPath(new URL('../..', import.meta.url))

async function runGroup(group: Group, words: readonly string[], totals: Totals): Promise<void> {
  const files = group.files
    .flatMap((pattern) => globSync(pattern, { cwd: root }))
    .filter(
      (file) => !file.includes('node_modules') && (words.length === 0 || words.some((word) => file.includes(word)))
    )
    .sort()
    .map((file) => join(root, file))
  if (files.length === 0) return
  console.log(`\n── ${group.name}: ${files.length} files`)
  const stream = run({
    files,
    concurrency: group.concurrency,
    timeout: group.timeoutMs,
    execArgv: ['--conditions=quorate-source', '--enable-source-maps']
  })
  stream.on('test:pass', (event) => {
    if (event.details.type === 'suite') return
    if (event.skip === undefined || event.skip === false) totals.passed++
    else totals.skipped++
  })
  stream.on('test:fail', (event) => {
    if (event.details.type !== 'suite') totals.failed++
  })
  const report = stream.compose(spec)
  report.pipe(process.stdout)
  await new Promise<void>((resolve, reject) => {
    report.on('end', resolve)
    report.on('error', reject)
  })
}

const only = process.argv
  .find((argument) => argument.startsWith('--only='))
  ?.slice('--only='.length)
  .split(',')
const words = process.argv.slice(2).filter((argument) => !argument.startsWith('--'))
const unknown = only?.find((name) => name !== 'check' && !groups.some((group) => group.name === name))
if (unknown !== undefined) {
  console.error(
    `There is no group of tests called ${unknown}; there are: check, ${groups.map((group) => group.name).join(', ')}`
  )
  process.exit(1)
}

const totals: Totals = { passed: 0, failed: 0, skipped: 0 }
if (only === undefined ? words.length === 0 : only.includes('check')) {
  const { status } = spawnSync('npm', ['run', '--silent', 'check'], { cwd: root, stdio: 'inherit' })
  if (status === 0) totals.passed++
  else totals.failed++
}
for (const group of groups) {
  if (only === undefined || only.includes(group.name)) await runGroup(group, words, totals)
}
console.log(`\n${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`)
process.exit(totals.failed > 0 || totals.passed === 0 ? 1 : 0)
