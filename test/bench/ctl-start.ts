/**
 * How much longer the command line takes to start than bare Node does: `id` at a port where nothing listens, which loads all that a
 * command needs and ends at the refused connection. From built JavaScript as installed, and from source as in a checkout. Each is
 * run in turn with bare Node, so that whatever else the machine does falls on both.
 *
 *   node --conditions=quorate-source test/bench/ctl-start.ts [--pairs=15]
 *
 * `test/bench/run.ts` calls `runCtlStartBench`.
 */

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { median } from './support/statistics.ts'

export interface CtlStartFigure {
  /** What was started. */
  readonly program: 'built' | 'source'
  /** Medians. */
  readonly nodeMs: number
  readonly ctlMs: number
}

const root = fileURLToPath(new URL('../..', import.meta.url))
const programs: readonly { readonly program: CtlStartFigure['program']; readonly words: readonly string[] }[] = [
  { program: 'built', words: [join(root, 'packages/ctl/dist/bin.js')] },
  { program: 'source', words: ['--conditions=quorate-source', join(root, 'packages/checkout/ctl.mjs')] }
]

/** Runs all, prints a table, and answers the figures. @param pairs - runs of each, beside so many of bare Node */
export function runCtlStartBench(pairs = 15): readonly CtlStartFigure[] {
  const figures: CtlStartFigure[] = []
  for (const { program, words } of programs) {
    if (!existsSync(words.at(-1)!)) {
      console.log(`skipped the start of ctl from ${program}: there is no ${words.at(-1)}; npm run build makes it`)
      continue
    }
    // The first run compiles, and leaves what it compiled in a cache.
    startCtl(words)
    const nodeTimes: number[] = []
    const ctlTimes: number[] = []
    for (let pair = 0; pair < pairs; pair++) {
      nodeTimes.push(time(['--eval', '0'], 0))
      ctlTimes.push(startCtl(words))
    }
    figures.push({ program, nodeMs: median(nodeTimes), ctlMs: median(ctlTimes) })
  }
  console.log(`ctl: time from start to end of \`id\` at a port where nothing listens, median of ${pairs}`)
  console.table(
    figures.map(({ program, nodeMs, ctlMs }) => ({
      program,
      'bare node ms': Math.round(nodeMs),
      'ctl ms': Math.round(ctlMs),
      'difference ms': Math.round(ctlMs - nodeMs)
    }))
  )
  return figures
}

function startCtl(words: readonly string[]): number {
  // Port 1 is reserved, and the answer "nobody could be reached" ends with 1.
  return time([...words, '--host', '/ip4/127.0.0.1/tcp/1', 'id'], 1)
}

function time(words: readonly string[], exitCode: number): number {
  const startMs = performance.now()
  const { status, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8' })
  const endMs = performance.now()
  if (status !== exitCode) throw new Error(`${words.join(' ')} ended with ${status} instead of ${exitCode}: ${stderr}`)
  return endMs - startMs
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { pairs: { type: 'string', default: '15' } } })
  runCtlStartBench(Number(values.pairs))
}
