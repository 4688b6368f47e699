/** The program as a process: its entry, its pipes, its signals. */

import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { deadHost, FakePeer, pinText } from './harness.ts'

const bin = fileURLToPath(new URL('../src/bin.ts', import.meta.url))
const words = (...more: string[]): string[] => ['--conditions=quorate-source', bin, ...more]

function start(...more: string[]): Promise<{ code: number | string; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, words(...more), (error, out, err) => resolve({ code: error?.code ?? 0, out, err }))
  })
}

describe('the program', () => {
  it('shows its help', async () => {
    const { code, out, err } = await start('--help')
    assert.deepEqual([code, err], [0, ''])
    assert.match(out, /^quorate-ctl \[global options\] <command>/)
  })

  it('loads neither fetch nor the progress bar nor other commands to run one', async () => {
    const script = `
      import { registerHooks } from 'node:module'
      const loaded = []
      registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) })
      const { main } = await import('@quorate/ctl')
      const io = { writeOut: async () => {}, writeErr: async () => {}, env: {}, columns: 100, signal: new AbortController().signal }
      const code = await main(['--host', ${JSON.stringify(await deadHost())}, 'id'], io)
      const commands = loaded.filter((url) => url.includes('/commands/')).map((url) => url.split('/').at(-1))
      const heavy = loaded.filter((url) => url.includes('cli-progress'))
      const fetch = process.moduleLoadList.filter((name) => name.includes('undici'))
      console.log(JSON.stringify({ code, commands, heavy, fetch }))`
    const args = ['--conditions=quorate-source', '--input-type=module', '--eval', script]
    const out = await new Promise<string>((resolve, reject) => {
      execFile(process.execPath, args, { cwd: fileURLToPath(new URL('..', import.meta.url)) }, (error, text) =>
        error === null ? resolve(text) : reject(error)
      )
    })
    assert.deepEqual(JSON.parse(out), { code: 1, commands: ['id.ts'], heavy: [], fetch: [] })
  })

  it('ends with 1 when the host cannot be reached', async () => {
    const { code, out } = await start('--host', await deadHost(), 'id')
    assert.equal(code, 1)
    assert.match(out, /Code: 0\n {2}Message: cannot reach/)
  })

  it('ends quietly when the reader of its output leaves', async () => {
    let closed = false
    await using peer = await FakePeer.start({
      'GET /allocations': async (_, response) => {
        response.on('close', () => (closed = true))
        while (!closed) {
          if (!response.write(`${pinText()}\n`)) await Promise.race([once(response, 'drain'), once(response, 'close')])
        }
      }
    })
    const child = spawn(process.execPath, words('--host', peer.host, 'pin', 'ls'), {
      stdio: ['ignore', 'pipe', 'pipe']
    })
    let err = ''
    child.stderr.on('data', (chunk) => (err += chunk))
    await once(child.stdout, 'data')
    child.stdout.destroy()
    const [code] = await once(child, 'exit')
    assert.equal(code, 0)
    assert.equal(err, '')
  })

  it('ends with 125 at the first SIGINT', async () => {
    const { promise: asked, resolve } = Promise.withResolvers<void>()
    await using peer = await FakePeer.start({ 'GET /id': () => resolve() })
    const child = spawn(process.execPath, words('--host', peer.host, 'id'), { stdio: ['ignore', 'pipe', 'pipe'] })
    await asked
    child.kill('SIGINT')
    const [code] = await once(child, 'exit')
    assert.equal(code, 125)
  })
})
