#!/usr/bin/env node
/**
 * The entry of `quorate-ctl`. What follows is loaded only after Node's compile cache is on, so that every start but the first
 * finds it compiled.
 */

import { enableCompileCache } from 'node:module'

enableCompileCache()
const { runProcess } = await import('./process-io.ts')
await runProcess()
