/** Holds the table of refusals in `docs/starting-a-cluster.md` to the messages in the code, which people look up word for word. */

import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const page = readFileSync(join(root, 'docs/starting-a-cluster.md'), 'utf8')

/** All sources in one text, with texts that are put together over several lines in one piece. */
const sources = globSync('packages/{service,raft}/src/**/*.ts', { cwd: root })
  .map((file) => readFileSync(join(root, file), 'utf8'))
  .join('\n')
  .replaceAll(/['`]\s*\+\s*['`]/g, '')

function refusals(): readonly string[] {
  const section = page.slice(page.indexOf('## When a peer refuses'))
  const rows = section.slice(0, section.indexOf('\n## ')).matchAll(/^\| ([^|]+) \|/gm)
  return [...rows].map((row) => row[1] ?? '').filter((cell) => !/^(The message says|---)$/.test(cell))
}

describe('the refusals in docs/starting-a-cluster.md', () => {
  it('are found in the page', () => {
    assert.ok(refusals().length >= 8)
  })

  for (const refusal of refusals()) {
    it(`says "${refusal}" as the program does`, () => {
      // `…` stands for what the program fills in.
      for (const part of refusal
        .split('…')
        .map((text) => text.trim())
        .filter((text) => text.length > 1)) {
        assert.ok(sources.includes(part), `no message in the sources has ${JSON.stringify(part)}`)
      }
    })
  }
})
