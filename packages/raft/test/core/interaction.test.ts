/**
 * Plays the transcripts in `interaction/*.txt` and compares what happens with what stands there, line for line. After a change that
 * is meant to be one, rewrite them with `UPDATE_TRANSCRIPTS=1` and read the difference: it is the review.
 */

import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { play } from './interaction/transcript.ts'

const folder = new URL('./interaction/', import.meta.url)
const names = readdirSync(folder).filter((name) => name.endsWith('.txt'))

describe('transcripts', () => {
  it('are there', () => assert.ok(names.length >= 10, `${names.length} were found`))

  for (const name of names) {
    it(name.replace('.txt', '').replaceAll('-', ' '), () => {
      const file = new URL(name, folder)
      const written = readFileSync(file, 'utf8')
      const played = play(written)
      if (process.env.UPDATE_TRANSCRIPTS === '1') writeFileSync(file, played)
      else assert.equal(played, written)
      assert.doesNotMatch(played, /HALT/)
    })
  }
})
