/** Prints the table of `docs/errors.md` from `client/src/api/error-codes.ts` and holds the page to it. */

import { it } from 'node:test'
import { errorCodes } from '@quorate/client/api'
import { assertPrinted, table } from './printed-page.ts'

// After a change of the table: QUORATE_UPDATE_DOCS=1 node --conditions=quorate-source --test <this file>
it('docs/errors.md is in step with the table of error codes', async () => {
  const rows = Object.entries(errorCodes).map(([code, { status, retryable, meaning, message }]) => [
    `\`${code}\``,
    String(status),
    retryable ? 'yes' : 'no',
    meaning,
    message
  ])
  await assertPrinted('errors.md', table(['Code', 'Status', 'Try again', 'Meaning', 'Message, or how it begins'], rows))
})
