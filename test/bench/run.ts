/** `npm run bench`: consensus, pins over HTTP, the start of the command line, one after the other, so that none disturbs another. */

import { runCtlStartBench } from './ctl-start.ts'
import { runPinsBench } from './pins/run.ts'
import { runRaftBench } from './raft/run.ts'

await runRaftBench()
await runPinsBench()
runCtlStartBench()
