/** The command that writes the tables of traps and seeds into the documentation (`table.ts`). */

import { writeTables } from './table.ts'

writeTables()
