/**
 * `npm run bench`: all benchmarks one after the other, so that none disturbs another. `docs/benchmarks.md` tells what each measures.
 *
 *   npm run bench -- [--only=NAME,NAME] [--short]
 *
 * `--short` makes each as small as shows that it runs; its figures mean nothing.
 */

import { parseArgs } from 'node:util'
import { runCtlStartBench } from './ctl-start.ts'
import { runFailoverBench, shortFailover } from './peers/failover.ts'
import { runSnapshotBench, shortSnapshot } from './peers/snapshot.ts'
import { runPinsBench, shortPins } from './pins/run.ts'
import { runCommitsBench, shortCommits } from './raft/commits.ts'
import { runReadsBench, shortReads } from './raft/reads.ts'

const benchmarks: Readonly<Record<string, (short: boolean) => Promise<unknown>>> = {
  commits: (short) => runCommitsBench(short ? shortCommits : {}),
  reads: (short) => runReadsBench(short ? shortReads : {}),
  failover: (short) => runFailoverBench(short ? shortFailover : {}),
  snapshot: (short) => runSnapshotBench(short ? shortSnapshot : {}),
  pins: (short) => runPinsBench(short ? shortPins : {}),
  'ctl-start': async (short) => runCtlStartBench(short ? 3 : undefined)
}

const { values } = parseArgs({ options: { only: { type: 'string' }, short: { type: 'boolean' } } })
const names = values.only?.split(',') ?? Object.keys(benchmarks)
for (const name of names) {
  const run = benchmarks[name]
  if (run === undefined) throw new Error(`There is no benchmark ${name}: ${Object.keys(benchmarks).join(', ')}`)
  await run(values.short === true)
}
