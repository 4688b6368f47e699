/**
 * The command that writes the tables of traps and seeds into the documentation (`../traps/table.ts`):
 *
 *   npx node --conditions=quorate-source packages/raft/test/simulation/write-tables.ts
 */

import { writeTables } from '../traps/table.ts'

writeTables()
