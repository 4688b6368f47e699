/** Every file, function, test and bug that the table of traps names is there, and every bug and transcript of a trap is in the table. */

import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { MUTATIONS } from '../../src/core/mutations.ts'
import { DRIVER_BUGS } from '../../src/sim/full/bugs.ts'
import { readKnownSeeds } from './known-seeds.ts'
import { generatedParts } from './table.ts'
import { TRAPS, WITHOUT_BUGS } from './traps.ts'

const here = new URL('../', import.meta.url)
const root = new URL('../../../', here)

/** @param below - where a path begins that is not one from the root */
const fileOf = (path: string, below: string): URL =>
  /^(packages|test)\//.test(path) ? new URL(path, root) : new URL(below + path, here)

const scenarioFile = (path: string): URL =>
  path.endsWith('.txt') && !path.includes('/') ? new URL(`core/interaction/${path}`, here) : fileOf(path, './')

/** A name as a word of its own, a private one with its sign. */
const holdsName = (text: string, name: string): boolean =>
  new RegExp(`(?<![\\w#])${name.replace('$', '\\$')}(?!\\w)`).test(text)

const bugs: readonly string[] = [...MUTATIONS, ...DRIVER_BUGS]

describe('the table of traps', () => {
  it('has a row for each, in order', () => {
    const numbers = TRAPS.map(({ id }) => Number(id.slice(1)))
    assert.deepEqual(
      numbers,
      Array.from({ length: 60 }, (_, i) => i + 1)
    )
  })

  for (const trap of TRAPS) {
    it(`names what there is for ${trap.id}`, () => {
      assert.ok(trap.places.length > 0 && trap.scenarios.length > 0)
      for (const text of trap.places) {
        const [path = '', ...names] = text.split(' ')
        const file = fileOf(path, '../src/')
        assert.ok(existsSync(file), `there is no ${path}`)
        const source = readFileSync(file, 'utf8')
        for (const name of names) assert.ok(holdsName(source, name), `${path} has no ${name}`)
      }
      for (const text of trap.scenarios) {
        const [path = '', name] = text.replace(/"$/, '').split(' "')
        const file = scenarioFile(path)
        assert.ok(existsSync(file), `there is no ${path}`)
        const source = readFileSync(file, 'utf8')
        if (name !== undefined) assert.ok(source.includes(name), `${path} has no test "${name}"`)
        if (path.endsWith('.txt')) {
          const heading = source.slice(0, source.indexOf('\n>'))
          assert.ok(holdsName(heading, trap.id), `the heading of ${path} does not name ${trap.id}`)
        }
      }
      for (const bug of trap.bugs) assert.ok(bugs.includes(bug), `no bug is called ${bug}`)
    })
  }

  it('says why there is nothing to put back, where there is nothing', () => {
    const without = TRAPS.filter((trap) => trap.bugs.length === 0).map(({ id }) => id)
    assert.deepEqual(without, Object.keys(WITHOUT_BUGS))
  })

  it('names every bug once', () => {
    const named = TRAPS.flatMap((trap) => trap.bugs)
    assert.deepEqual(named.toSorted(), bugs.toSorted())
  })

  it('names every transcript of a trap', () => {
    const told = new Set(TRAPS.flatMap(({ scenarios }) => scenarios))
    const written = readdirSync(new URL('core/interaction/', here)).filter((name) => /^t\d+-.*\.txt$/.test(name))
    assert.deepEqual(
      written.filter((name) => !told.has(name)),
      []
    )
  })

  it('knows a seed for at least 50 bugs, each found within ten minutes', () => {
    const findings = Object.values(readKnownSeeds()).flatMap(({ rule }) => rule ?? [])
    assert.ok(findings.length >= 50, `${findings.length} are found`)
    for (const { cpuSeconds } of findings) assert.ok(cpuSeconds < 600)
  })

  for (const { path, wanted, written } of generatedParts()) {
    it(`is in ${path} as it is here; if not, run packages/raft/test/simulation/write-tables.ts`, () => {
      assert.deepEqual(written.split('\n'), wanted.split('\n'))
    })
  }
})
