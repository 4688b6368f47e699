import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { it } from 'node:test'
import { withTables } from './configuration-page.ts'

const page = new URL('../../../../docs/configuration.md', import.meta.url)

// After a change of the schema: QUORATE_UPDATE_DOCS=1 node --conditions=quorate-source --test <this file>
it('docs/configuration.md is in step with the schema', async () => {
  const text = await readFile(page, 'utf8')
  const fresh = withTables(text)
  if (process.env.QUORATE_UPDATE_DOCS === '1') await writeFile(page, fresh)
  else assert.equal(text, fresh, 'print it anew with QUORATE_UPDATE_DOCS=1')
})
