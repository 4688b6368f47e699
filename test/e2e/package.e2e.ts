/** What is published: each package packed, installed into an empty folder, and run from there as built JavaScript. */

import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { readContent, untilStatus } from './support/content.ts'
import { cleanUp, Daemon, type Finished, type Programs, run } from './support/daemon.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const packages = ['wire', 'raft', 'client', 'ctl', 'service']
/** The registry may have to be asked for all that the packages depend on. */
const INSTALL_TIMEOUT_MS = 300_000

/** Programs find the Node that this runs with, and nothing makes them see the sources. */
const env: NodeJS.ProcessEnv = {
  PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH ?? ''}`,
  NODE_OPTIONS: ''
}

function npm(args: readonly string[], cwd: string): Promise<Finished> {
  return run(['npm', '--prefix', cwd], args, { env, timeoutMs: INSTALL_TIMEOUT_MS })
}

/** Uses each library as a stranger would. Top-level errors of types fail the compiler, those of values the run. */
const PROGRAM = `
import { createClient, type GlobalPinInfo, PinNotFoundError, type QuorateClient } from '@quorate/client'
import { type Pin, routes } from '@quorate/client/api'
import { main } from '@quorate/ctl'
import { openRaft, openSegmentLog, type Raft } from '@quorate/raft'
import { loadConfig, runDaemon, type ServiceConfig } from '@quorate/service'
import { createRpc, type RpcEndpoint } from '@quorate/wire'

const client: QuorateClient = createClient({ baseUrl: process.env.API ?? '' })
const cid: string = process.env.CID ?? ''
const info: GlobalPinInfo = await client.status(cid)
const copies: string[] = Object.values(info.peerMap).map(({ status }) => status)
const pins: Pin[] = []
for await (const pin of client.allocations()) pins.push(pin)
const config: ServiceConfig = await loadConfig(process.env.FOLDER ?? '', {})
const libraries: readonly unknown[] = [PinNotFoundError, routes, main, openRaft, openSegmentLog, runDaemon, createRpc]
export type Unused = Raft<string> | RpcEndpoint
console.log(JSON.stringify({ copies, pins: pins.map((pin) => pin.cid), name: config.cluster.peername, count: libraries.length }))
`

describe('the packages, packed and installed into an empty folder', () => {
  let folder: string
  let programs: Programs
  let daemon: Daemon | undefined
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'quorate-e2e-package-'))
    const workspaces = packages.flatMap((name) => ['--workspace', `packages/${name}`])
    const packed = await npm(['pack', '--pack-destination', folder, ...workspaces], root)
    assert.equal(packed.code, 0, `${packed.stdout}${packed.stderr}`)
    const tarballs = (await readdir(folder)).filter((name) => name.endsWith('.tgz')).map((name) => join(folder, name))
    assert.equal(tarballs.length, packages.length)
    const installed = await npm(['install', '--prefer-offline', '--no-audit', '--no-fund', ...tarballs], folder)
    assert.equal(installed.code, 0, installed.stderr)
    const program = (name: string): string[] => [join(folder, 'node_modules', '.bin', name)]
    programs = { service: program('quorate-service'), ctl: program('quorate-ctl') }
  })
  after(async () => {
    if (daemon !== undefined) await cleanUp([daemon])
    await rm(folder, { recursive: true, force: true })
  })

  it('hold built JavaScript and types, and no sources or tests', async () => {
    for (const name of packages) {
      const files = await readdir(join(folder, 'node_modules', '@quorate', name), { recursive: true })
      const own = files.filter((file) => !file.startsWith('node_modules'))
      assert.ok(own.includes(join('dist', 'index.js')) && own.includes(join('dist', 'index.d.ts')), name)
      assert.ok(own.includes('README.md'), `${name} has no README`)
      assert.deepEqual(
        own.filter((file) => /(^|\/)(src|test)\//.test(file) || (/\.ts$/.test(file) && !/\.d\.ts$/.test(file))),
        [],
        name
      )
    }
  })

  it('run a peer that pins content, told by the installed client', async () => {
    daemon = await Daemon.init({ name: 'packed', programs, env })
    await daemon.start([], env).ready()
    const ctl = (...words: string[]): Promise<Finished> =>
      run(programs.ctl, ['--host', `/ip4/127.0.0.1/tcp/${daemon!.apiPort}`, ...words], { env })
    const id = await ctl('id')
    assert.equal(id.code, 0, id.stderr)
    assert.match(id.stdout, new RegExp(`^${daemon.id} \\| packed \\| Sees 0 other peers`))
    const file = join(folder, 'file')
    await writeFile(file, 'Hello Worlds!\n')
    const added = await ctl('add', '-Q', file)
    assert.equal(added.code, 0, added.stderr)
    assert.equal(added.stdout.trim(), 'QmVr26fY1tKyspEJBniVhqxQeEjhF78XerGiqWAwraVLQH')
    await untilStatus([daemon], added.stdout.trim(), 'pinned')
    assert.equal(`${await readContent(daemon, added.stdout.trim())}`, 'Hello Worlds!\n')
  })

  it('have types that a program compiles against, and that tell the truth', async () => {
    await writeFile(join(folder, 'program.ts'), PROGRAM)
    const options = {
      compilerOptions: {
        target: 'es2024',
        module: 'nodenext',
        strict: true,
        skipLibCheck: true,
        verbatimModuleSyntax: true,
        types: ['node'],
        typeRoots: [join(root, 'node_modules', '@types')]
      },
      files: ['program.ts']
    }
    const project = join(folder, 'tsconfig.json')
    await writeFile(project, JSON.stringify(options))
    const manifest = join(folder, 'package.json')
    await writeFile(manifest, JSON.stringify({ ...JSON.parse(await readFile(manifest, 'utf8')), type: 'module' }))
    const tsc = [process.execPath, join(root, 'node_modules', 'typescript', 'bin', 'tsc')]
    const compiled = await run(tsc, ['-p', project], { env })
    assert.equal(compiled.code, 0, compiled.stdout)
    const cid = 'QmVr26fY1tKyspEJBniVhqxQeEjhF78XerGiqWAwraVLQH'
    const { code, stdout, stderr } = await run([process.execPath], [join(folder, 'program.js')], {
      env: { ...env, API: daemon!.api, CID: cid, FOLDER: daemon!.folder }
    })
    assert.equal(code, 0, stderr)
    assert.deepEqual(JSON.parse(stdout), { copies: ['pinned'], pins: [cid], name: 'packed', count: 7 })
  })

  it('stop in order', async () => {
    assert.equal(await daemon!.stop(), 0)
  })
})
