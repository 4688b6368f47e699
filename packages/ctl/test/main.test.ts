/** Global options, exit codes, help, and what happens when things go wrong. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { assertRun, cid, deadHost, FakePeer, json, pinText, refuse, run, stream } from './harness.ts'

const version = json('{"version":"1.1.6"}')

describe('global options', () => {
  it('come before the command in short, and anywhere in long', async () => {
    await using peer = await FakePeer.start({ 'GET /version': version })
    for (const words of [
      ['-l', peer.host, '--enc', 'json', '-t', '5', 'version'],
      [`-l=${peer.host}`, '-enc', 'json', 'version'],
      ['version', '--host', peer.host, '--encoding=json']
    ]) {
      assertRun(await run(undefined, words), { out: '{\n    "version": "1.1.6"\n}\n' })
    }
  })

  it('take a list of addresses and URLs, and go on to the next', async () => {
    await using peer = await FakePeer.start({ 'GET /version': version })
    const url = peer.host.replace(/.*\/(\d+)$/, 'http://127.0.0.1:$1')
    assertRun(await run(undefined, ['--host', `${await deadHost()},${peer.host}`, 'version']), { out: '1.1.6\n' })
    assertRun(await run(undefined, ['--host', url, 'version']), { out: '1.1.6\n' })
  })

  it('send credentials without HTTPS only when forced to, from the environment too', async () => {
    await using peer = await FakePeer.start({ 'GET /version': version })
    const options = { env: { CLUSTER_CREDENTIALS: 'me:secret' } }
    const insecure = await run(peer, ['version'], options)
    assert.equal(insecure.code, 1)
    assert.match(insecure.out, /Code: 0\n {2}Message: cannot reach https:/)
    assertRun(await run(peer, ['--force-http', 'version'], options), { out: '1.1.6\n' })
    assertRun(await run(peer, ['-f', '--basic-auth', 'you:x', 'version'], options), { out: '1.1.6\n' })
    assert.deepEqual(peer.authorizations, [`Basic ${btoa('me:secret')}`, `Basic ${btoa('you:x')}`])
  })

  it('log requests, without credentials, when asked to', async () => {
    await using peer = await FakePeer.start({ 'GET /version': version })
    const { err } = await run(peer, ['-d', '-f', '--basic-auth', 'me:secret', 'version'])
    assert.match(err, /^GET http:\/\/127\.0\.0\.1:\d+\/version\nGET .*: 200\n$/)
  })

  for (const [words, err] of [
    ['--enc xml version', /--encoding must be text or json, not "xml"/],
    ['--timeout soon version', /--timeout must be an integer, not "soon"/],
    ['--timeout -1 version', /--timeout must be from 0/],
    ['--host localhost version', /^error parsing --host: .*"localhost"/],
    ['--host http://a,/ip4/127.0.0.1/tcp/1 version', /mixes URLs and multiaddrs/],
    ['--nonsense version', /unknown global option --nonsense/],
    ['--host', /option --host needs a value/],
    ['version extra', /"version" takes no arguments, but was given 1: extra/],
    ['pin --wait', /"pin" takes no option --wait/]
  ] as const) {
    it(`refuse "${words}" with 1`, async () => {
      const result = await run(undefined, words.split(' '))
      assert.equal(result.code, 1)
      assert.equal(result.out, '')
      assert.match(result.err, err)
    })
  }
})

describe('exit codes', () => {
  it('are 1 with code 0 when nobody answers', async () => {
    const host = await deadHost()
    const result = await run(undefined, ['--host', host, 'id'])
    assert.equal(result.code, 1)
    assert.match(
      result.out,
      /^An error occurred:\n {2}Code: 0\n {2}Message: cannot reach http:\/\/127\.0\.0\.1:\d+: connect ECONNREFUSED/
    )
    assert.equal(result.err, '')
  })

  it('are 1 when the answer takes too long', async () => {
    await using peer = await FakePeer.start({ 'GET /id': () => {} })
    const result = await run(peer, ['--timeout', '1', 'id'])
    assert.equal(result.code, 1)
    assert.match(result.out, /Code: 0\n {2}Message: .*context deadline exceeded\n$/)
  })

  it('are 2 when a peer refuses, also after the first items of a stream', async () => {
    await using peer = await FakePeer.start({
      'GET /id': refuse(500, 'no'),
      'GET /allocations': stream([pinText()], 'lost the thread')
    })
    assertRun(await run(peer, ['id']), { code: 2, out: 'An error occurred:\n  Code: 500\n  Message: no\n' })
    const { code, out } = await run(peer, ['pin', 'ls'])
    assert.equal(code, 2)
    assert.match(out, /Added: .*\nAn error occurred:\n {2}Code: 500\n {2}Message: lost the thread\n$/)
  })

  it('never print the control characters of a message', async () => {
    await using peer = await FakePeer.start({ 'GET /id': refuse(500, 'two\nlines\u001b[2J') })
    assertRun(await run(peer, ['id']), {
      code: 2,
      out: 'An error occurred:\n  Code: 500\n  Message: two\nlines\\x1b[2J\n'
    })
  })

  it('are 3 for a command that does not exist', async () => {
    for (const words of [['fly'], ['pin', 'fly'], ['help', 'fly']]) {
      assertRun(await run(undefined, words), { code: 3, err: `No help topic for 'fly'\n` })
    }
  })

  it('are 0 for an empty list', async () => {
    await using peer = await FakePeer.start({ 'GET /allocations': stream([]) })
    assertRun(await run(peer, ['pin', 'ls']), {})
  })

  it('are 0 when the reader of the output leaves', async () => {
    await using peer = await FakePeer.start({
      'GET /allocations': stream(Array.from({ length: 1000 }, () => pinText()))
    })
    const { code, err } = await run(peer, ['pin', 'ls'], { breakPipeAfter: 2 })
    assert.equal(code, 0)
    assert.equal(err, '')
  })

  it('are 1, with the place, when the answer makes no sense', async () => {
    await using peer = await FakePeer.start({ 'GET /id': json('{"id":7}') })
    const { code, err } = await run(peer, ['id'])
    assert.equal(code, 1)
    assert.match(err, /^error reading the answer: cannot decode id\.id: expected a string/)
  })
})

describe('help', () => {
  it('is shown for nothing, for --help, for a group and for a command', async () => {
    for (const [words, text] of [
      [[], /Commands:\n {2}id /],
      [['--help'], /-l, --host/],
      [['help'], /peers ls/],
      [['pin'], /pin update/],
      [['pin', '--help'], /^quorate-ctl \[global options\] pin <command>/],
      [['pin', 'add', '--help'], /^quorate-ctl pin add <CID\|path>/],
      [['help', 'pin', 'add'], /--wait-timeout, --wt/],
      [['add', '-h'], /-s, --chunker/]
    ] as const) {
      const { code, out, err } = await run(undefined, words)
      assert.equal(code, 0)
      assert.equal(err, '')
      assert.match(out, text)
    }
  })

  it('tells the version of the program, and lists commands', async () => {
    for (const flag of ['--version', '-v']) {
      assert.match((await run(undefined, [flag])).out, /^quorate-ctl version \d+\.\d+\.\d+\n$/)
    }
    const { out } = await run(undefined, ['commands'])
    assert.ok(out.split('\n').includes('pin update'))
    assert.ok(!out.split('\n').includes('commands'))
  })

  it('lists nothing that cannot be loaded', async () => {
    for (const name of (await run(undefined, ['commands'])).out.trim().split('\n')) {
      assert.equal((await run(undefined, [...name.split(' '), '--help'])).code, 0, name)
    }
  })
})

describe('warnings', () => {
  it('go to standard error', async () => {
    await using peer = await FakePeer.start({
      [`GET /allocations/${cid}`]: (_, response) => void response.setHeader('X-Quorate-Stale', 'true').end(pinText())
    })
    const { code, err } = await run(peer, ['pin', 'ls', cid])
    assert.equal(code, 0)
    assert.equal(err, 'warning: no quorum could be asked; this is what the peer knows by itself\n')
  })
})
