/**
 * The seeds that find the bugs which can be put back, as they were found last (`known-seeds.json`): written by `../simulation/mutation-search.ts`,
 * tried by `../simulation/mutations.sim.ts`, shown in the tables of the documentation. A change of the core or the simulator makes every seed another
 * world; then they are searched anew.
 */

import { readFileSync, writeFileSync } from 'node:fs'

/** The first seed of five nodes that shows a bug. */
export interface Finding {
  readonly seed: number
  readonly judge: string
  /** From seed 1 on, until then. */
  readonly cpuSeconds: number
}

/** Undefined where nothing was found within the time given. */
export interface KnownSeed {
  /** With all judges. */
  readonly rule?: Finding
  /** With those of harm alone. */
  readonly harm?: Finding
}

export type KnownSeeds = Readonly<Record<string, KnownSeed>>

const file = new URL('./known-seeds.json', import.meta.url)

export const readKnownSeeds = (): KnownSeeds => JSON.parse(readFileSync(file, 'utf8')) as KnownSeeds

export const writeKnownSeeds = (seeds: KnownSeeds): void =>
  writeFileSync(file, `${JSON.stringify(seeds, undefined, 2)}\n`)
