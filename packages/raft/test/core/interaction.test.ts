/**
 * Plays the transcripts in `interaction/*.txt` and compares what happens with what stands there, line for line. After a change that
 * is meant to be one, rewrite them with `UPDATE_TRANSCRIPTS=1` and read the difference: it is the review. What a transcript expects has to
 * hold, and has to break with each bug that it names put back.
 */

import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { MUTATIONS, type Mutation } from '../../src/core/mutations.ts'
import { brokenBy, play } from './interaction/transcript.ts'

const folder = new URL('./interaction/', import.meta.url)
const names = readdirSync(folder).filter((name) => name.endsWith('.txt'))

/** Bugs of what runs on the core, not of the core: `sim/sessions.ts`. */
const NOT_OF_THE_CORE: readonly Mutation[] = ['session-ignored', 'session-not-in-snapshot']

describe('transcripts', () => {
  it('are broken by every bug of the core', () => {
    const broken = new Set(names.flatMap((name) => brokenBy(readFileSync(new URL(name, folder), 'utf8'))))
    const unbroken = MUTATIONS.filter((mutation) => !broken.has(mutation) && !NOT_OF_THE_CORE.includes(mutation))
    assert.deepEqual(unbroken, [])
  })

  it('are there', () => assert.ok(names.length >= 50, `${names.length} were found`))

  for (const name of names) {
    const file = new URL(name, folder)
    const written = readFileSync(file, 'utf8')

    it(name.replace('.txt', '').replaceAll('-', ' '), () => {
      const { text, failures } = play(written)
      assert.deepEqual(failures, [])
      if (process.env.UPDATE_TRANSCRIPTS === '1') writeFileSync(file, text)
      else assert.equal(text, written)
    })

    for (const mutation of brokenBy(written)) {
      it(`${name.replace('.txt', '').replaceAll('-', ' ')}, broken by ${mutation}`, (t) => {
        assert.ok(MUTATIONS.includes(mutation), `no bug is called ${mutation}`)
        const { failures } = play(written, new Set([mutation]))
        assert.notEqual(failures.length, 0, 'everything that it expects holds all the same')
        t.diagnostic(failures[0] ?? '')
      })
    }
  }
})
