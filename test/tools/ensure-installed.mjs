/**
 * Installs the dependencies unless this checkout has them: run before `npm start`, `npm test`, `npm run check` and `npm run bench`,
 * so that each works on a fresh clone. Plain JavaScript, since the Node that runs it may be older than the one it installs.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const marker = join(root, 'node_modules', '.quorate-installed')
const lock = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .digest('hex')

if (!existsSync(marker) || readFileSync(marker, 'utf8') !== lock) {
  console.error('Installing dependencies (once): npm ci')
  const { status } = spawnSync('npm', ['ci'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32'
  })
  if (status !== 0) {
    console.error('npm ci failed: the dependencies could not be installed, see above.')
    process.exit(status ?? 1)
  }
  writeFileSync(marker, lock)
}
