import assert from 'node:assert/strict'
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, it, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { lockFolder } from '../../src/config/folder-lock.ts'
import { temporaryFolder } from './temporary-folder.ts'

interface Holder {
  readonly process: ChildProcessWithoutNullStreams
  line(): Promise<string | undefined>
  end(signal: NodeJS.Signals): Promise<void>
}

/** Starts a process that tries to take the lock. */
function startHolder(context: TestContext, folder: string): Holder {
  const script = fileURLToPath(new URL('lock-holder.ts', import.meta.url))
  const child = spawn(process.execPath, ['--expose-gc', '--conditions=quorate-source', script, folder])
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }
  context.after(() => end('SIGKILL'))
  return {
    process: child,
    line: async () => {
      const { value, done } = await lines.next()
      return done === true ? undefined : value
    },
    end
  }
}

describe('the lock of a configuration folder', () => {
  it('keeps a second process out, by name, until the first is killed', async (context) => {
    const folder = await temporaryFolder(context)
    const first = startHolder(context, folder)
    assert.equal(await first.line(), 'locked')
    assert.equal(await first.line(), 'collected')

    const second = startHolder(context, folder)
    const refusal = await second.line()
    assert.match(refusal ?? '', /^refused: cannot lock .*cluster\.lock: .* has the lock/)
    if (process.platform === 'linux')
      assert.match(refusal ?? '', new RegExp(`(process ${first.process.pid}|another process) has`))
    assert.throws(() => lockFolder(folder), { name: 'ConfigFolderError', code: 'LOCKED' })

    await first.end('SIGKILL')
    const third = startHolder(context, folder)
    assert.equal(await third.line(), 'locked')
  })

  it('goes to one of many that want it at the same moment', async (context) => {
    const folder = await temporaryFolder(context)
    const holders = Array.from({ length: 4 }, () => startHolder(context, folder))
    const answers = await Promise.all(holders.map((holder) => holder.line()))
    assert.equal(answers.filter((answer) => answer === 'locked').length, 1, answers.join('\n'))
  })

  it('is refused within the process that has it, and free once it is given back', async (context) => {
    const folder = await temporaryFolder(context)
    const lock = lockFolder(folder)
    assert.throws(() => lockFolder(folder), { code: 'LOCKED' })
    lock.release()
    lock.release()
    lockFolder(folder).release()
    assert.deepEqual(await readdir(folder), ['cluster.lock'])
  })

  it('takes over the empty file that another program left', async (context) => {
    const folder = await temporaryFolder(context)
    await writeFile(join(folder, 'cluster.lock'), '')
    lockFolder(folder).release()
  })

  it('says what is wrong when it cannot be had at all', async (context) => {
    const folder = await temporaryFolder(context)
    assert.throws(() => lockFolder(join(folder, 'nowhere')), { code: 'LOCK_FAILED' })
    await writeFile(join(folder, 'cluster.lock'), 'the notes of somebody, long enough to be taken for a page')
    assert.throws(() => lockFolder(folder), /it holds something that is not ours/)
  })
})
