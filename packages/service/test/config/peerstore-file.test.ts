import assert from 'node:assert/strict'
import { chmod, lstat, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { PeerstoreFile, parsePeerstore } from '../../src/config/peerstore-file.ts'
import { temporaryFolder } from './temporary-folder.ts'

const id = '12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust'
const at = (port: number) => `/ip4/127.0.0.1/tcp/${port}/p2p/${id}`

describe('reading a peerstore file', () => {
  it('keeps the order, passes over comments and blank lines, and takes each address once', () => {
    const text = `# mine\n\n${at(2)}\r\n  ${at(1)}  \nnot an address\n${at(2)}\n/dnsaddr/peers.example.org\n/dns4/a.example.org/tcp/9096/p2p/${id}`
    assert.deepEqual(parsePeerstore(text), {
      addresses: [at(2), at(1), '/dnsaddr/peers.example.org', `/dns4/a.example.org/tcp/9096/p2p/${id}`],
      problems: []
    })
  })

  it('reports lines that are no addresses of peers by their number', () => {
    const lines = [
      '# first',
      '/ip4/1.2.3.4/tcp/9096',
      at(1),
      '/ip4/300.1.1.1/tcp/1',
      `/ip4/1.2.3.4/tcp/1/p2p/nobody`,
      `/p2p/${id}`
    ]
    const { addresses, problems } = parsePeerstore(lines.join('\n'))
    assert.deepEqual(addresses, [at(1)])
    assert.deepEqual(
      problems.map(({ line, reason }) => [line, reason]),
      [
        [2, 'it does not end in /p2p/<peer ID>'],
        [4, 'Invalid IPv4 address "300.1.1.1"'],
        [5, '"nobody" is not a peer ID'],
        [6, 'it names a peer and no way there']
      ]
    )
  })

  it('takes a file that is not there as empty', async (context) => {
    const file = new PeerstoreFile(join(await temporaryFolder(context), 'peerstore'))
    assert.deepEqual(await file.read(), { addresses: [], problems: [] })
  })
})

describe('writing a peerstore file', () => {
  it('keeps what people wrote, byte for byte, and replaces what was learned', async (context) => {
    const path = join(await temporaryFolder(context), 'peerstore')
    const own = `# the one in the cellar\n${at(1)}\n\n/not/an/address\n`
    await writeFile(path, own)
    const file = new PeerstoreFile(path)

    await file.write([at(3), at(1), at(2)])
    const text = await readFile(path, 'utf8')
    assert.ok(text.startsWith(own))
    assert.deepEqual((await file.read()).addresses, [at(1), at(3), at(2)])

    await file.write([at(4)])
    assert.deepEqual((await file.read()).addresses, [at(1), at(4)])

    await file.write([])
    assert.equal(await readFile(path, 'utf8'), own)
  })

  it('ends a last line that had no end before it goes on', async (context) => {
    const path = join(await temporaryFolder(context), 'peerstore')
    await writeFile(path, at(1))
    const file = new PeerstoreFile(path)
    await file.write([at(2)])
    assert.deepEqual((await file.read()).addresses, [at(1), at(2)])
  })

  it('keeps what was learned when lines of people are added', async (context) => {
    const file = new PeerstoreFile(join(await temporaryFolder(context), 'peerstore'))
    await file.write([at(9)])
    assert.equal(await file.add([at(1), at(1)]), 2)
    assert.deepEqual((await file.read()).addresses, [at(1), at(9)])
    await file.write([])
    assert.deepEqual((await file.read()).addresses, [at(1)])
  })

  it('leaves one whole file behind, whichever of many writes comes last', async (context) => {
    const folder = await temporaryFolder(context)
    const file = new PeerstoreFile(join(folder, 'peerstore'))
    await Promise.all(Array.from({ length: 20 }, (_, port) => file.write([at(port + 1), at(port + 101)])))
    assert.deepEqual((await file.read()).addresses, [at(20), at(120)])
    assert.deepEqual(await readdir(folder), ['peerstore'])
  })

  it('does not touch the file when nothing changes', async (context) => {
    const file = new PeerstoreFile(join(await temporaryFolder(context), 'peerstore'))
    await file.write([at(1)])
    const { ino } = await stat(file.path)
    await file.write([at(1)])
    assert.equal((await stat(file.path)).ino, ino)
  })

  it('keeps a link, and permissions that somebody set', async (context) => {
    const folder = await temporaryFolder(context)
    await writeFile(join(folder, 'shared'), `${at(1)}\n`)
    await chmod(join(folder, 'shared'), 0o660)
    await symlink(join(folder, 'shared'), join(folder, 'peerstore'))
    const file = new PeerstoreFile(join(folder, 'peerstore'))
    await file.write([at(2)])
    assert.ok((await lstat(file.path)).isSymbolicLink())
    assert.equal((await stat(file.path)).mode & 0o777, 0o660)
    assert.deepEqual((await file.read()).addresses, [at(1), at(2)])
  })

  it('never changes what people wrote, whatever was learned before and after', async (context) => {
    const folder = await temporaryFolder(context)
    const texts = [
      '',
      '\n\n',
      '# only a comment\n',
      `${at(1)}\n\n# end\n`,
      `${at(2)}\n${at(2)}\n`,
      '/broken\n',
      ' # Learned\n'
    ]
    const learned = [[], [at(1)], [at(3), at(2)], [at(2), at(2), at(9)]]
    for (const [number, own] of texts.entries()) {
      const file = new PeerstoreFile(join(folder, String(number)))
      await writeFile(file.path, own)
      const before = (await file.read()).addresses
      for (const first of learned) {
        for (const second of learned) {
          await file.write(first)
          await file.write(second)
          assert.ok((await readFile(file.path, 'utf8')).startsWith(own), JSON.stringify(own))
          assert.deepEqual((await file.read()).addresses, [...new Set([...before, ...second])])
        }
      }
    }
  })

  it('goes on after a write that failed', async (context) => {
    const folder = join(await temporaryFolder(context), 'later')
    const file = new PeerstoreFile(join(folder, 'peerstore'))
    await assert.rejects(file.write([at(1)]), { code: 'ENOENT' })
    await mkdir(folder)
    await file.write([at(1)])
    assert.deepEqual((await file.read()).addresses, [at(1)])
  })
})
