import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { describe, it, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { RunDaemonOptions } from '../../src/cli/daemon-options.ts'
import { main } from '../../src/cli/main.ts'

const id = '12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust'

interface Outcome {
  readonly code: number
  readonly out: string
  readonly err: string
  readonly daemon: RunDaemonOptions | undefined
}

async function run(
  args: string[],
  { env = {}, input = '' }: { env?: Record<string, string>; input?: string } = {}
): Promise<Outcome> {
  let out = ''
  let err = ''
  let daemon: RunDaemonOptions | undefined
  const io = {
    env,
    stdin: Readable.from([input]),
    out: (text: string) => {
      out += text
    },
    err: (text: string) => {
      err += text
    }
  }
  const code = await main(args, io, async () => async (options) => {
    daemon = options
    return 42
  })
  return { code, out, err, daemon }
}

async function temporaryFolder(context: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'quorate-cli-'))
  context.after(() => rm(folder, { recursive: true, force: true }))
  return join(folder, 'peer')
}

describe('the command line', () => {
  it('without a command prints help and fails', async () => {
    const { code, out } = await run([])
    assert.equal(code, 1)
    assert.match(out, /quorate-service daemon/)
  })

  it('prints help and succeeds when asked for it', async () => {
    const { code, out } = await run(['daemon', '--help'])
    assert.equal(code, 0)
    assert.match(out, /--bootstrap/)
  })

  it('tells its version in two ways', async () => {
    const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'))
    assert.deepEqual(await run(['version']), { code: 0, out: `${version}\n`, err: '', daemon: undefined })
    assert.equal((await run(['--version'])).out, `quorate-service version ${version}\n`)
  })

  it('refuses commands, options and values that it does not know, on stderr', async () => {
    const cases: [string[], RegExp][] = [
      [['frob'], /frob/],
      [['daemon', '--frob'], /frob/],
      [['daemon', '--loglevel', 'loud'], /cannot read the log level "loud"/],
      [['daemon', '--bootstrap', '/ip4/1.2.3.4/tcp/9096'], /must be a multiaddress that ends in \/p2p/],
      [['init', '--consensus', 'crdt'], /raft only/],
      [['init', 'ftp://example.org/'], /http or https/]
    ]
    for (const [args, message] of cases) {
      const { code, out, err, daemon } = await run(args)
      assert.deepEqual([code, out, daemon], [1, '', undefined], args.join(' '))
      assert.match(err, message)
    }
  })
})

describe('daemon', () => {
  it('hands over its options and returns the exit code of the daemon', async () => {
    const addresses = [`/ip4/1.2.3.4/tcp/1/p2p/${id}`, `/dns4/b.example.org/tcp/2/p2p/${id}`]
    const { code, daemon } = await run([
      '--config',
      '/c',
      'daemon',
      '-j',
      addresses.join(','),
      '--leave',
      '--stats',
      '--no-trust',
      '--upgrade',
      '-l',
      'warn,raft:debug'
    ])
    assert.equal(code, 42)
    assert.deepEqual(daemon, {
      folder: '/c',
      bootstrap: addresses,
      leave: true,
      stats: true,
      loglevel: 'warn,raft:debug'
    })
  })

  it('collects addresses of several --bootstrap', async () => {
    const addresses = [`/ip4/1.2.3.4/tcp/1/p2p/${id}`, `/ip4/1.2.3.4/tcp/2/p2p/${id}`]
    const { daemon } = await run(['daemon', ...addresses.flatMap((address) => ['--bootstrap', address])])
    assert.deepEqual(daemon?.bootstrap, addresses)
  })

  it('finds its folder: --config, QUORATE_PATH, IPFS_CLUSTER_PATH, home', async () => {
    const env = { HOME: '/home/me' }
    const both = { ...env, QUORATE_PATH: '/q', IPFS_CLUSTER_PATH: '/i' }
    assert.equal((await run(['daemon', '-c', '/c'], { env: both })).daemon?.folder, '/c')
    assert.equal((await run(['daemon'], { env: both })).daemon?.folder, '/q')
    assert.equal((await run(['daemon'], { env: { ...both, QUORATE_PATH: '' } })).daemon?.folder, '/i')
    assert.equal((await run(['daemon'], { env })).daemon?.folder, '/home/me/.quorate')
  })

  it('takes the log level from --debug, --loglevel or the environment', async () => {
    const env = { IPFS_CLUSTER_LOG_LEVEL: 'error' }
    assert.equal((await run(['daemon', '--debug', '-l', 'warn'], { env })).daemon?.loglevel, 'debug')
    assert.equal((await run(['daemon', '-l', 'warn'], { env })).daemon?.loglevel, 'warn')
    assert.equal((await run(['daemon'], { env })).daemon?.loglevel, 'error')
    assert.equal((await run(['daemon'])).daemon?.loglevel, 'info')
  })
})

describe('init', () => {
  it('asks for the secret, and says what it wrote on stderr alone', async (context) => {
    const folder = await temporaryFolder(context)
    const secret = 'AB'.repeat(32)
    const { code, out, err } = await run(['-c', folder, 'init', '-s'], { input: `${secret}\n` })
    assert.equal(code, 0, err)
    assert.equal(out, 'Enter the cluster secret (32 bytes in hexadecimal): ')
    assert.match(err, /configuration written to/)
    assert.ok(!err.includes(secret))
    const document = JSON.parse(await readFile(join(folder, 'service.json'), 'utf8'))
    assert.equal(document.cluster.secret, secret.toLowerCase())
  })

  it('does not ask for a secret that the environment gives', async (context) => {
    const folder = await temporaryFolder(context)
    const secret = 'cd'.repeat(32)
    const { out } = await run(['-c', folder, 'init', '--custom-secret'], { env: { CLUSTER_SECRET: secret } })
    assert.equal(out, '')
    assert.equal(JSON.parse(await readFile(join(folder, 'service.json'), 'utf8')).cluster.secret, secret)
  })

  it('overwrites after a yes or with --force, and leaves all as it is after a no', async (context) => {
    const folder = await temporaryFolder(context)
    assert.equal((await run(['-c', folder, 'init'])).code, 0)
    const file = join(folder, 'service.json')
    for (const input of ['n\n', '\n', '', 'what\nwhy\nno\n']) {
      await writeFile(file, 'mine')
      const { code, out } = await run(['-c', folder, 'init'], { input })
      assert.equal(code, 0)
      assert.match(out, /Continue\? \[y\/n\]: $/)
      assert.equal(await readFile(file, 'utf8'), 'mine', JSON.stringify(input))
    }
    assert.equal((await run(['-c', folder, 'init'], { input: 'huh\nY\n' })).code, 0)
    assert.notEqual(await readFile(file, 'utf8'), 'mine')
    await writeFile(file, 'mine')
    assert.deepEqual((await run(['-c', folder, 'init', '--force'])).out, '')
    assert.notEqual(await readFile(file, 'utf8'), 'mine')
  })

  it('takes peers, ports and the IPFS node', async (context) => {
    const folder = await temporaryFolder(context)
    const address = `/ip4/10.0.0.1/tcp/9096/p2p/${id}`
    const args = ['--peers', address, '--randomports', '--ipfs', '/ip4/127.0.0.1/tcp/5001', '--datastore', 'leveldb']
    const { code, err } = await run(['-c', folder, 'init', '--consensus', 'raft', ...args])
    assert.equal(code, 0, err)
    const document = JSON.parse(await readFile(join(folder, 'service.json'), 'utf8'))
    assert.deepEqual(document.consensus.raft.init_peerset, [id])
    assert.equal(document.ipfs_connector.ipfshttp.node_multiaddress, '/ip4/127.0.0.1/tcp/5001')
    assert.notEqual(document.cluster.listen_multiaddress, '/ip4/0.0.0.0/tcp/9096')
  })

  it('fails with all that is wrong in the environment', async (context) => {
    const folder = await temporaryFolder(context)
    const env = { CLUSTER_DIALPEERTIMEOUT: 'soon', CLUSTER_RAFT_BACKUPSROTATE: 'many' }
    const { code, err } = await run(['-c', folder, 'init'], { env })
    assert.equal(code, 1)
    assert.match(err, /CLUSTER_DIALPEERTIMEOUT[\s\S]*CLUSTER_RAFT_BACKUPSROTATE/)
  })
})

describe('recover', () => {
  it('has to be told of whom, and needs a folder with a configuration', async (context) => {
    const folder = await temporaryFolder(context)
    const { code, err } = await run(['-c', folder, 'recover'])
    assert.equal(code, 1)
    assert.match(err, /recover needs --peers, or --dry-run/)
    assert.equal((await run(['-c', folder, 'recover', '--dry-run'])).code, 1)
    await run(['-c', folder, 'init'])
    const nothing = await run(['-c', folder, 'recover', '--dry-run'])
    assert.equal(nothing.code, 1)
    assert.match(nothing.err, /there is no consensus data of a cluster in it/)
  })

  it('does not work in the folder of a daemon that runs', async (context) => {
    const folder = await temporaryFolder(context)
    await run(['-c', folder, 'init'])
    const { lockFolder } = await import('../../src/config/folder-lock.ts')
    const lock = lockFolder(folder)
    try {
      const { code, err } = await run(['-c', folder, 'recover', '--dry-run'])
      assert.equal(code, 1)
      assert.match(err, /cannot lock/)
    } finally {
      lock.release()
    }
  })
})

it('the program itself runs', async () => {
  const bin = fileURLToPath(new URL('../../src/bin.ts', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, ['--conditions=quorate-source', bin, 'version'])
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/)
})
