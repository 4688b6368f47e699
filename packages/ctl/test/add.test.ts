/** `add` with real files: what is sent, what is printed, what is refused. */

import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import {
  type Answer,
  assertRun,
  cid,
  FakePeer,
  json,
  otherCid,
  pinText,
  refuse,
  run,
  statusText,
  stream
} from './harness.ts'

let folder = ''

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'quorate-ctl-'))
  await mkdir(join(folder, 'd', 'sub'), { recursive: true })
  await writeFile(join(folder, 'f'), 'file')
  await writeFile(join(folder, 'd', 'b'), 'bbb')
  await writeFile(join(folder, 'd', 'B'), 'B')
  await writeFile(join(folder, 'd', '.hidden'), 'h')
  await writeFile(join(folder, 'd', 'sub', 'x'), 'x')
  await symlink('b', join(folder, 'd', 'link'))
})

after(async () => {
  await rm(folder, { recursive: true, force: true })
})

const made = (name: string, of = cid): string => JSON.stringify({ name, cid: of, size: 3 })

/** File names of the parts of an upload, with their kinds and contents. */
async function partsOf(request: IncomingMessage): Promise<string[]> {
  let body = ''
  for await (const chunk of request) body += (chunk as Buffer).toString()
  return [...body.matchAll(/filename="([^"]*)"\r\nContent-Type: application\/([^\r]*)\r\n\r\n(.*?)\r\n--/gs)].map(
    ([, name = '', type, content]) => `${decodeURIComponent(name)} ${type} ${content}`
  )
}

function receive(answer: Answer): { answer: Answer; parts: string[] } {
  const parts: string[] = []
  return {
    parts,
    answer: async (request, response) => {
      parts.push(...(await partsOf(request)))
      return answer(request, response)
    }
  }
}

describe('add', () => {
  it('sends a file under its own name and prints what was made', async () => {
    const { answer, parts } = receive(stream([made('f')]))
    await using peer = await FakePeer.start({ 'POST /add': answer })
    assertRun(await run(peer, ['add', '--name', 'n', '--rmin', '1', join(folder, 'f')]), { out: `added ${cid} f\n` })
    assert.deepEqual(parts, ['f octet-stream file'])
    assert.deepEqual(peer.requests, ['POST /add?replication-min=1&name=n&stream-channels=true&raw-leaves=false'])
  })

  it('sends a directory before what is in it, in bytewise order, without hidden files', async () => {
    const { answer, parts } = receive(stream([made('d')]))
    await using peer = await FakePeer.start({ 'POST /add': answer })
    await run(peer, ['add', '-r', join(folder, 'd')])
    assert.deepEqual(parts, [
      'd x-directory ',
      'd/B octet-stream B',
      'd/b octet-stream bbb',
      'd/link symlink b',
      'd/sub x-directory ',
      'd/sub/x octet-stream x'
    ])
  })

  it('takes hidden files when asked to', async () => {
    const { answer, parts } = receive(stream([made('d')]))
    await using peer = await FakePeer.start({ 'POST /add': answer })
    await run(peer, ['add', '-r', '-H', join(folder, 'd')])
    assert.ok(parts.includes('d/.hidden octet-stream h'))
  })

  it('wraps several paths with a directory, and translates its options', async () => {
    const { answer } = receive(stream([made('f'), made('', otherCid)]))
    await using peer = await FakePeer.start({ 'POST /add': answer })
    const words = 'add --cid-version 1 --chunker size-1048576 --no-pin --local --layout trickle'.split(' ')
    assertRun(await run(peer, [...words, join(folder, 'f'), join(folder, 'd', 'b')]), {
      out: `added ${cid} f\nadded ${otherCid} \n`
    })
    assert.deepEqual(Object.fromEntries(new URL(peer.requests[0]?.split(' ')[1] ?? '', 'http://x').searchParams), {
      layout: 'trickle',
      chunker: 'size-1048576',
      local: 'true',
      'wrap-with-directory': 'true',
      'stream-channels': 'true',
      'no-pin': 'true',
      'cid-version': '1',
      'raw-leaves': 'true'
    })
  })

  it('uses CID version 1 for another hash', async () => {
    const { answer } = receive(stream([made('f')]))
    await using peer = await FakePeer.start({ 'POST /add': answer })
    await run(peer, ['add', '--hash', 'BLAKE3', join(folder, 'f')])
    assert.match(peer.requests[0] ?? '', /hash=blake3.*cid-version=1&raw-leaves=true/)
  })

  it('prints CIDs with -q, the last with -Q, all at once with --no-stream', async () => {
    const items = [made('d/b'), made('d', otherCid)]
    await using peer = await FakePeer.start({
      'POST /add': (request, response) =>
        (request.url?.includes('stream-channels=false')
          ? receive(json(`[${items.join()}]`))
          : receive(stream(items))
        ).answer(request, response)
    })
    const add = (...words: string[]): ReturnType<typeof run> => run(peer, [...words, '-r', join(folder, 'd')])
    assertRun(await add('add', '-q'), { out: `${cid}\n${otherCid}\n` })
    assertRun(await add('add', '-Q'), { out: `${otherCid}\n` })
    assertRun(await add('add', '--no-stream'), { out: `added ${cid} d/b\nadded ${otherCid} d\n` })
    const array = await add('--enc', 'json', 'add', '--no-stream')
    assert.deepEqual(
      JSON.parse(array.out),
      items.map((item) => JSON.parse(item))
    )
    const last = await add('--enc', 'json', 'add', '-Q')
    assert.deepEqual(JSON.parse(last.out), JSON.parse(items[1] ?? ''))
  })

  it('waits for as many copies as the pin must have', async () => {
    await using peer = await FakePeer.start({
      'POST /add': receive(stream([made('f')])).answer,
      [`GET /allocations/${cid}`]: json(pinText()),
      [`GET /pins/${cid}`]: json(statusText('pinned', 'pinned'))
    })
    assert.equal((await run(peer, ['add', '--wait', join(folder, 'f')])).code, 0)
    assert.equal(peer.requests.length, 3)
  })

  it('downloads a URL and sends it under the last part of its path', async () => {
    const { answer, parts } = receive(stream([made('page.html')]))
    await using peer = await FakePeer.start({
      'POST /add': answer,
      'GET /site/page.html': (_, response) => void response.end('<p>')
    })
    const site = peer.host.replace(/.*\/(\d+)$/, 'http://127.0.0.1:$1/site')
    assert.equal((await run(peer, ['add', `${site}/page.html`])).code, 0)
    assert.deepEqual(parts, ['page.html octet-stream <p>'])
    const missing = await run(peer, ['add', `${site}/missing`])
    assert.equal(missing.code, 1)
    assert.match(missing.err, /cannot download .*: it answered 404/)
  })

  it('tells the failure of an upload after what was made before it', async () => {
    await using peer = await FakePeer.start({ 'POST /add': receive(stream([made('a')], 'disk full')).answer })
    assertRun(await run(peer, ['add', join(folder, 'f')]), {
      code: 2,
      out: `added ${cid} a\nAn error occurred:\n  Code: 500\n  Message: disk full\n`
    })
  })

  it('draws a bar on a terminal and leaves nothing of it behind', async () => {
    await using peer = await FakePeer.start({ 'POST /add': receive(stream([made('f')])).answer })
    const { code, out, err } = await run(peer, ['add', join(folder, 'f')], { tty: true })
    assert.equal(code, 0)
    assert.equal(out, `added ${cid} f\n`)
    assert.match(err, /\[=+\] 100% \| 4 B of 4 B/)
    assert.ok(err.endsWith('\u001b[2K'), JSON.stringify(err))
    assertRun(await run(peer, ['add', '-q', join(folder, 'f')], { tty: true }), { out: `${cid}\n` })
  })

  for (const [name, words, err] of [
    ['a path that is not there', ['missing'], /^error : cannot add ".*missing": ENOENT/],
    ['a directory without -r', ['d'], /^error : .*d is a directory, but Recursive option is not set\n$/],
    ['a wrapped CAR file', ['f', '--format', 'car', '-w'], /a CAR file cannot be wrapped/],
    ['an unknown format', ['f', '--format', 'zip'], /--format must be unixfs or car, not "zip"/],
    ['a CID version that does not exist', ['f', '--cid-version', '7'], /--cid-version must be 0 or 1, not 7/],
    ['a wait without a pin', ['f', '--wait', '--no-pin'], /--wait makes no sense with --no-pin/],
    ['no path', [], /"add" takes the arguments <path>…/]
  ] as const) {
    it(`refuses ${name} before it asks anybody`, async () => {
      await using peer = await FakePeer.start({ 'POST /add': refuse(500, 'asked') })
      const [path, ...flags] = words
      const result = await run(peer, ['add', ...(path === undefined ? [] : [join(folder, path)]), ...flags])
      assert.equal(result.code, 1)
      assert.equal(result.out, '')
      assert.match(result.err, err)
      assert.deepEqual(peer.requests, [])
    })
  }
})
