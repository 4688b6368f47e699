/** A process that takes the lock of the folder it is given, says so, and holds it until it is ended; for `folder-lock.test.ts`. */

import { lockFolder } from '../../src/config/folder-lock.ts'

try {
  lockFolder(process.argv[2] ?? '')
  process.stdout.write('locked\n')
  process.stdin.resume()
  // Whatever a real daemon allocates; a lock must not go with the first collection of garbage.
  globalThis.gc?.()
  process.stdout.write('collected\n')
} catch (error) {
  process.stdout.write(`refused: ${error instanceof Error ? error.message : String(error)}\n`)
}
