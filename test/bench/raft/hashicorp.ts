/**
 * The same work by hashicorp/raft 1.7 with BoltDB, through a harness in Go that is no part of this repository: three processes of
 * it, of which the leader prints one line of JSON for each concurrency, as `{"c":64,"eps":14000,"p50":4.1,"p99":7.2}`. Used by `commits.ts`.
 */

import { type ChildProcessByStdio, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, statSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { COMMON_LOADS, type Figure } from './loads.ts'
import type { LoadInit } from './peers.ts'

interface Line {
  readonly c: number
  readonly eps: number
  readonly p50: number
  readonly p99: number
}

/**
 * The program to run: `harness` itself, or built into `folder` from the sources that lie in it.
 *
 * @returns undefined, after a line that says why, if it cannot be run here
 */
export async function goProgram(harness: string, folder: string): Promise<string | undefined> {
  if (existsSync(harness) && statSync(harness).isFile()) return harness
  if (!existsSync(join(harness, 'main.go'))) {
    console.log(`  skipped hashicorp/raft: there is no harness at ${harness}`)
    return undefined
  }
  const program = join(folder, 'raft-bench-go')
  try {
    await promisify(execFile)('go', ['build', '-o', program, '.'], { cwd: harness })
    return program
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    console.log(`  skipped hashicorp/raft: the harness could not be built: ${why}`)
    return undefined
  }
}

export async function runGo(program: string, { folder, entries, entryBytes }: LoadInit): Promise<Figure[]> {
  await mkdir(folder, { recursive: true })
  const options = ['-n', `${entries}`, '-size', `${entryBytes}`, '-dir', join(folder, 'data')]
  const children = [0, 1, 2].map((id) =>
    spawn(program, ['-id', `${id}`, ...options], { stdio: ['ignore', 'pipe', 'inherit'] })
  )
  try {
    return await Promise.race([Promise.any(children.map(readFigures)), exitOfAll(children)])
  } finally {
    for (const child of children) {
      if (child.exitCode === null && child.kill('SIGKILL')) await once(child, 'exit')
    }
  }
}

type Child = ChildProcessByStdio<null, Readable, null>

/** Resolves with the figures of the process that leads; rejects for one that ends without. */
async function readFigures(child: Child): Promise<Figure[]> {
  const figures: Figure[] = []
  for await (const text of createInterface({ input: child.stdout })) {
    const { c, eps, p50, p99 } = JSON.parse(text) as Line
    figures.push({ load: `${c}`, entriesPerSecond: eps, p50Ms: p50, p99Ms: p99 })
    if (figures.length === COMMON_LOADS.length) return figures
  }
  throw new Error('The process printed no figures')
}

async function exitOfAll(children: readonly Child[]): Promise<never> {
  await Promise.all(children.map((child) => once(child, 'exit')))
  throw new Error('No process of hashicorp/raft led')
}
