/**
 * The tables of the documentation that are made of the traps and the seeds: the rules in `docs/raft.md`, and what the simulator finds in
 * `docs/simulation.md`. They stand between two marks, and `traps.test.ts` compares them.
 *
 *   npx node --conditions=quorate-source packages/raft/test/simulation/write-tables.ts
 */

import { readFileSync, writeFileSync } from 'node:fs'
import { DRIVER_BUGS } from '../../src/sim/full/bugs.ts'
import { type Finding, type KnownSeeds, readKnownSeeds } from './known-seeds.ts'
import { TRAPS, WITHOUT_BUGS } from './traps.ts'

const root = new URL('../../../../', import.meta.url)

const code = (text: string): string => `\`${text}\``

/** `file name name` as the file and its names. */
const place = (text: string): string => text.split(' ').map(code).join(' ')

/** `file "test"` as the file and the test. */
function scenario(text: string): string {
  const [file = '', name] = text.split(' "')
  return name === undefined ? code(file) : `${code(file)} "${name}`
}

const isOfFullSimulator = (bug: string): boolean => (DRIVER_BUGS as readonly string[]).includes(bug)

function bugCell(bug: string, seeds: KnownSeeds): string {
  const seed = seeds[bug]?.rule?.seed
  const how = isOfFullSimulator(bug) ? 'full simulator, seed' : 'seed'
  return seed === undefined ? code(bug) : `${code(bug)} (${how} ${seed})`
}

function rulesTable(seeds: KnownSeeds): string {
  const rows = TRAPS.map(({ id, rule, places, scenarios, bugs }) => {
    const broken =
      bugs.length > 0 ? bugs.map((bug) => bugCell(bug, seeds)).join(', ') : `none: ${WITHOUT_BUGS[id] ?? 'unknown'}`
    return `| ${id} | ${rule} | ${places.map(place).join(', ')} | ${scenarios.map(scenario).join(', ')} | ${broken} |`
  })
  return ['| | Rule | File and name | Scenario | Bug and seed |', '| --- | --- | --- | --- | --- |', ...rows].join('\n')
}

const findingCells = (finding: Finding | undefined): string =>
  finding === undefined ? '– | |' : `${finding.seed} | ${finding.cpuSeconds.toFixed(1)} s | ${code(finding.judge)}`

function bugsTable(seeds: KnownSeeds): string {
  const rows = TRAPS.flatMap(({ id, bugs }) =>
    bugs.map((bug) => {
      const { rule, harm } = seeds[bug] ?? {}
      const full = isOfFullSimulator(bug) ? ' (full)' : ''
      return `| ${id} | ${code(bug)}${full} | ${findingCells(rule)} | ${findingCells(harm)} |`
    })
  )
  const found = rows.filter((row) => !/ – \| \| \| – \| \| \|$/.test(row)).length
  return [
    `${found} of ${rows.length} are found.`,
    '',
    '| Trap | Bug | Seed | CPU | Judge | Seed for harm | CPU | Judge |',
    '| --- | --- | --- | --- | --- | --- | --- | --- |',
    ...rows
  ].join('\n')
}

export interface GeneratedPart {
  /** Of the document, from the root. */
  readonly path: string
  /** The table as it should be. */
  readonly wanted: string
  /** As it is. */
  readonly written: string
}

/** The tables, as they are and as they should be. */
export function generatedParts(): GeneratedPart[] {
  const seeds = readKnownSeeds()
  return [part('docs/raft.md', 'traps', rulesTable(seeds)), part('docs/simulation.md', 'bugs', bugsTable(seeds))]
}

function part(path: string, mark: string, table: string): GeneratedPart {
  const text = readFileSync(new URL(path, root), 'utf8')
  const [begin, end] = [`<!-- ${mark}: begin -->`, `<!-- ${mark}: end -->`]
  const from = text.indexOf(begin)
  const to = text.indexOf(end)
  if (from < 0 || to < from) throw new Error(`${path} has no place between ${begin} and ${end}`)
  return { path, wanted: `${begin}\n\n${table}\n\n${end}`, written: text.slice(from, to + end.length) }
}

/** Brings the tables up to what the traps and the seeds say. */
export function writeTables(): void {
  for (const { path, wanted, written } of generatedParts()) {
    const file = new URL(path, root)
    writeFileSync(
      file,
      readFileSync(file, 'utf8').replace(written, () => wanted)
    )
  }
}
