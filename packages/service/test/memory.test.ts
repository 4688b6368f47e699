/** With which words the daemon starts itself anew. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { leanerStart } from '../src/memory.ts'

const argv = ['/bin/node', '/lib/bin.js', '--config', '/data', 'daemon']
const child = fileURLToPath(new URL('leaner-child.ts', import.meta.url))
const start = { execPath: '/bin/node', execArgv: ['--conditions=x'], argv, env: {} }

describe('the start of a daemon', () => {
  it('is done anew with a heap that is kept small, and with all the words that were given', () => {
    const options = ['--max-semi-space-size=8', '--heap-growing-percent=100']
    assert.deepEqual(leanerStart(start), ['/bin/node', '--conditions=x', ...options, ...argv.slice(1)])
  })

  it('is not done anew twice', () => {
    const again = leanerStart(start)!
    assert.equal(leanerStart({ ...start, execArgv: again.slice(1, 4) }), undefined)
  })

  it('keeps a size that the operator gave, and a debugger', () => {
    for (const option of ['--max-semi-space-size=32', '--max_semi_space_size=32', '--inspect', '--inspect-brk=0']) {
      assert.equal(leanerStart({ ...start, execArgv: [option] }), undefined, option)
      assert.equal(
        leanerStart({ ...start, env: { NODE_OPTIONS: `--enable-source-maps ${option}` } }),
        undefined,
        option
      )
    }
  })

  const skip = process.platform === 'win32'
  it('leaves the process its number, its words, its environment and its streams, and says nothing', {
    skip
  }, async () => {
    const env = { ...process.env, NODE_OPTIONS: '', LEANER_MARKER: 'here' }
    const started = spawn(process.execPath, ['--conditions=quorate-source', child, 'daemon', '--stats'], { env })
    const [out, err] = await Promise.all([text(started.stdout), text(started.stderr)])
    assert.equal(err, '')
    assert.deepEqual(JSON.parse(out), {
      pid: started.pid,
      options: ['--conditions=quorate-source', '--max-semi-space-size=8', '--heap-growing-percent=100'],
      words: ['daemon', '--stats'],
      marker: 'here'
    })
  })
})
