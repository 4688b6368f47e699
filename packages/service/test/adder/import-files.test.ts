/**
 * The importer: its CIDs against Kubo's, the order and contents of what it says, and what it refuses. The expected CIDs were made by
 * `ipfs add` of Kubo 0.39 of the same contents, with the flags that are named.
 */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type ImportOptions, importFiles } from '../../src/adder/import-files.ts'
import type { AddEntry } from '../../src/ports.ts'
import { bytesOf, defaults, directory, file, importAll, symlink, upload } from './uploads.ts'

const sized = (length: number) => [file('f', bytesOf(length, `file of ${length}`))]
const tree = () => [
  directory('tree'),
  file('tree/z.txt', 'last by name'),
  file('tree/sub/deep/b.bin', bytesOf(300_000, 'b')),
  symlink('tree/sub/link', '../z.txt'),
  directory('tree/empty'),
  file('tree/é', 'not ASCII')
]
const large = () =>
  Array.from({ length: 4000 }, (_, i) => file(`large/entry-${i}-${'x'.repeat(i % 50)}`, `content ${i % 7}`))
const subdirectories = () => Array.from({ length: 8000 }, (_, i) => file(`S/sub-${i}/f`, 'x'))
const hello = () => [file('hello', 'hello world\n')]
const v1: Partial<ImportOptions> = { cidVersion: 1, rawLeaves: true }

const kubo: readonly [
  what: string,
  flags: string,
  entries: () => AddEntry[],
  options: Partial<ImportOptions>,
  cid: string
][] = [
  ['an empty directory', '', () => [directory('e')], {}, 'QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn'],
  ['a small file', '', hello, {}, 'QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o'],
  ['a small file', '--cid-version=1', hello, v1, 'bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4'],
  ['an empty file', '', () => sized(0), {}, 'QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH'],
  [
    'an empty file',
    '--cid-version=1',
    () => sized(0),
    v1,
    'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'
  ],
  ['one byte', '', () => sized(1), {}, 'QmevPF6SCF3M8PXfgRPik8nJzFbb116QdcYCsxMs5KHNKz'],
  ['exactly one chunk', '', () => sized(262_144), {}, 'QmSBMT7NkSpm6HorTkKLRMDZBp37UJ8LBkb9rgMup83rPD'],
  ['one byte more than a chunk', '', () => sized(262_145), {}, 'QmUGJXuzRJvCR5gWDvZ5LVvwUkDD7LDPjpxP7VFXhaBkgc'],
  ['3 MB', '', () => sized(3_000_000), {}, 'QmQpg53QoQc8nHVxk5jx4x7rB67z6G1v2jg2b3tXnZAN72'],
  ['50 MB, two levels', '', () => sized(50_000_000), {}, 'Qmeow7hnUAiTVFDDC9QaZjK7i5tamF3NdxgcXuUC3q6JGB'],
  [
    '50 MB',
    '--cid-version=1',
    () => sized(50_000_000),
    v1,
    'bafybeigtsicrjjlye2lkutnkyaxohpxnjxjrbim6iijraugr4tggegmbl4'
  ],
  [
    '3 MB',
    '--raw-leaves',
    () => sized(3_000_000),
    { rawLeaves: true },
    'QmVZjbYH9JdBR2h45ukz1EKrzVtfLEW32uHqTTrLByEV1Z'
  ],
  [
    '3 MB',
    '--cid-version=1 --raw-leaves=false',
    () => sized(3_000_000),
    { cidVersion: 1 },
    'bafybeibxhw2766t2nbgnav6zw5stvrnc4e7cbqgl3fz34onahnsg3s5yg4'
  ],
  [
    '3 MB in 30,000 chunks',
    '--chunker=size-100',
    () => sized(3_000_000),
    { chunker: 'size-100' },
    'QmawKg2KzEDLMK2uZtaZcZvRv6ct7zsTurtzWwe2cptNMe'
  ],
  [
    'an empty file',
    '--trickle',
    () => sized(0),
    { layout: 'trickle' },
    'QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH'
  ],
  ['one byte', '--trickle', () => sized(1), { layout: 'trickle' }, 'QmVircPRegmsys3ErfVfBrLaY8aTe8iFSE3FVnEW6iRXJd'],
  [
    '3 MB',
    '--trickle --chunker=size-1000',
    () => sized(3_000_000),
    { layout: 'trickle', chunker: 'size-1000' },
    'QmPP8AnNmh3QbKzcbvcrqGtGPfK3MMsr4MbntU998wJ2i6'
  ],
  [
    '3 MB',
    '--trickle --chunker=size-200 --raw-leaves',
    () => sized(3_000_000),
    { layout: 'trickle', chunker: 'size-200', rawLeaves: true },
    'QmQp5DYtXSZnzWMtnaeAuGnkh7TjJWUnDHwNmZf8C95QKG'
  ],
  [
    '3 MB',
    '--chunker=rabin',
    () => sized(3_000_000),
    { chunker: 'rabin' },
    'Qmd5hdfippfpKvHqicUk5pUKxnvvszwWHUd7H6KP3MXkjn'
  ],
  [
    '3 MB',
    '--chunker=rabin-4096',
    () => sized(3_000_000),
    { chunker: 'rabin-4096' },
    'QmcLVWejjyJGevKLvwNh9UBDVfF34Z2vTGzFqb7ktQdeeM'
  ],
  [
    '3 MB',
    '--chunker=rabin-512-1024-2048',
    () => sized(3_000_000),
    { chunker: 'rabin-512-1024-2048' },
    'QmbDD24ho9mTn4Xk54pskwvKMsB1hFt2wbE7mn3rbomU1G'
  ],
  [
    '3 MB',
    '--hash=sha3-256 --cid-version=1',
    () => sized(3_000_000),
    { ...v1, hash: 'sha3-256' },
    'bafybmidwff4pxd2zywfsceru7ltvprwgyh7fdfqjv7gi3pjro2bnn66u3e'
  ],
  [
    '3 MB',
    '--hash=blake2b-512 --cid-version=1',
    () => sized(3_000_000),
    { ...v1, hash: 'blake2b-512' },
    'bafymbzacidzbjs4utlmy5ratx3c4e4jtghglxeiompebezkwisnqdujcvhpb26f35vl2or6vzbrzx6zjvr75haifi4jfxqs2x3zlk6orppfq4yb5'
  ],
  [
    '3 MB',
    '--hash=dbl-sha2-256 --cid-version=1',
    () => sized(3_000_000),
    { ...v1, hash: 'dbl-sha2-256' },
    'bafyfmifod4vl3psdaa2wbrgnnoja76skkv3vgjq7mbal4xqzxbvof3sbfa'
  ],
  ['a tree', '', tree, {}, 'QmboDg4pTVYAsc7yhtDo1rutEG5eoNUVAsR1YRQh4anGTt'],
  ['a tree', '--cid-version=1', tree, v1, 'bafybeiefpl454vjuxnt7wdbrckgwyzexzyi2tqwqc5he3zw2f5yvvfduea'],
  ['a tree', '-w', tree, { wrapWithDirectory: true }, 'QmRkNXAWsWC5dgbqKsxBRmW5tNmhokQjT2Xx43MbMpUWmG'],
  ['a small file', '-w', hello, { wrapWithDirectory: true }, 'QmYRMUVULBfj7WrdPESnwnyZmtayN6Sdrwh1nKcQ9QgQeZ'],
  ['a directory of 4,000 entries, in shards', '', large, {}, 'QmSesS37veArAwqdudFjatUaRShn68NgfGDzCuwno3wTNv'],
  [
    'a directory of 4,000 entries, in shards',
    '--cid-version=1',
    large,
    v1,
    'bafybeicwfeugj3z2aoxxd77hoijwnfvp5xldpfl55dh5ppewcbvhthbwme'
  ],
  [
    'a directory of 8,000 subdirectories, in shards',
    '',
    subdirectories,
    {},
    'QmTmtBfDsVJUc9Dg9qbXdD93beEkK2G6Ngb3WBGnAKcjdJ'
  ],
  [
    'a directory of 8,000 subdirectories, in shards',
    '--hash=blake2b-512 --cid-version=1',
    subdirectories,
    { ...v1, hash: 'blake2b-512' },
    'bafymbzacicc3movpdxab5skpyeborohz6ceqtcwh4glbec5vxemj7vg4mjxzir2w5gnawrghy2svlwxzipn3rcxoeeswvfvo2u42coelifaxttbz'
  ]
]

describe('importFiles', () => {
  for (const [what, flags, entries, options, cid] of kubo) {
    it(`makes the CID of ipfs add ${flags === '' ? '' : `${flags} `}of ${what}`, async () => {
      assert.equal((await importAll(entries(), options)).root, cid)
    })
  }

  it('shards a directory as soon as names and CIDs take 256 KiB, and not before', async () => {
    // Entries of a name of 100 bytes and a CID of 34, and a last one that makes up the sum.
    const directoryOf = async (bytes: number) => {
      const entries: AddEntry[] = []
      let rest = bytes
      for (let i = 0; rest >= 400; i++, rest -= 134) entries.push(file(`d/${String(i).padStart(100, '0')}`, 'x'))
      entries.push(file(`d/${'y'.repeat(rest - 34)}`, 'x'))
      const { blocks, root } = await importAll(entries)
      return blocks.find(({ cid }) => cid === root)?.bytes.length ?? 0
    }
    // A flat directory is one block; the root of a sharded one links to 256 shards at most.
    assert.ok((await directoryOf(262_143)) > 262_143)
    assert.ok((await directoryOf(262_144)) < 50_000)
  })

  it('names files as they come, then directories from the bottom up, the wrapper last and without a name', async () => {
    const entries = [file('d1/a.txt', 'a'), file('d1/sub/b.txt', 'b'), file('f1', 'c')]
    const { outputs, root } = await importAll(entries, { wrapWithDirectory: true })
    assert.deepEqual(
      outputs.map(({ name }) => name),
      ['d1/a.txt', 'd1/sub/b.txt', 'f1', 'd1/sub', 'd1', '']
    )
    assert.equal(outputs.at(-1)?.cid, root)
  })

  it('takes the last of several entries at the top for the root', async () => {
    const { outputs, root } = await importAll([file('d/a', 'a'), file('f', 'b'), file('g/x', 'c')])
    assert.deepEqual(
      outputs.map(({ name }) => name),
      ['d/a', 'd', 'f', 'g/x', 'g']
    )
    assert.equal(root, outputs.at(-1)?.cid)
  })

  it('keeps the files of a directory that is named after them', async () => {
    const { root } = await importAll([file('d/f', 'x'), directory('d')])
    assert.equal(root, (await importAll([directory('d'), file('d/f', 'x')])).root)
  })

  it('gives the size of the whole DAG, as Kubo does', async () => {
    const { outputs } = await importAll(hello())
    assert.deepEqual(outputs, [
      { name: 'hello', cid: 'QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o', bytes: 0, size: 20, allocations: [] }
    ])
  })

  it('reports progress by bytes, up to the length of the file, before the file itself', async () => {
    const { outputs } = await importAll([file('f', bytesOf(700_000, 'p'))], { progress: true })
    assert.deepEqual(
      outputs.map(({ name, cid, bytes }) => [name, cid === undefined, bytes]),
      [
        ['f', true, 262_144],
        ['f', true, 524_288],
        ['f', true, 700_000],
        ['f', false, 0]
      ]
    )
  })

  it('yields every block before what it belongs to is named, and children before parents', async () => {
    const importing = importFiles(upload(tree()), defaults)
    const made = new Set<string>()
    for (;;) {
      const step = await importing.next()
      if (step.done === true) break
      if ('block' in step.value) made.add(step.value.block.cid)
      else if (step.value.output.cid !== undefined) assert.ok(made.has(step.value.output.cid))
    }
    assert.ok(made.size >= 9)
  })

  it('reads a file no further than its blocks are taken', async () => {
    let readBytes = 0
    async function* endless() {
      for (;;) {
        readBytes += 100_000
        yield bytesOf(100_000, 'e')
      }
    }
    const importing = importFiles(upload([{ path: 'f', type: 'file', content: endless() }]), defaults)
    for (let i = 0; i < 20; i++) await importing.next()
    assert.ok(readBytes <= 20 * 262_144 + 200_000)
    await importing.return('')
  })

  it('stops reading when it is aborted', async () => {
    const aborted = new AbortController()
    async function* endless() {
      for (let i = 0; ; i++) {
        if (i === 10) aborted.abort(new Error('the client has gone'))
        yield bytesOf(100_000, 'e')
      }
    }
    const importing = importFiles(upload([{ path: 'f', type: 'file', content: endless() }]), defaults, {
      signal: aborted.signal
    })
    await assert.rejects(async () => {
      for await (const _event of importing);
    }, /the client has gone/)
  })

  const refused: readonly [
    what: string,
    entries: AddEntry[],
    options: Partial<ImportOptions>,
    code: string,
    message: RegExp
  ][] = [
    [
      'an unknown chunker',
      hello(),
      { chunker: 'bites-5' },
      'invalid-parameter',
      /^unrecognized chunker option: bites-5$/
    ],
    ['chunks of no size', hello(), { chunker: 'size-0' }, 'invalid-parameter', /chunker size must be greater than 0/],
    [
      'chunks that no node would take',
      hello(),
      { chunker: 'size-1048577' },
      'invalid-parameter',
      /may not exceed the maximum chunk size of 1048576/
    ],
    ['a chunk size that is no number', hello(), { chunker: 'size-x' }, 'invalid-parameter', /"x" is not a number/],
    [
      'rabin chunks that are too small',
      hello(),
      { chunker: 'rabin-15-20-30' },
      'invalid-parameter',
      /rabin min must be greater than 16/
    ],
    ['rabin in a wrong form', hello(), { chunker: 'rabin-1-2' }, 'invalid-parameter', /incorrect format/],
    ['an unknown hash', hello(), { hash: 'md17' }, 'invalid-parameter', /hash function name not known/],
    ['an upload without files', [], {}, 'invalid-content', /no files/],
    ['a path that leads out', [file('a/../../b', 'x')], {}, 'invalid-content', /leads out/],
    ['the same name twice', [file('d/a', '1'), file('d/a', '2')], {}, 'invalid-content', /more than one entry "a"/],
    ['a file below a file', [file('d/a', '1'), file('d/a/b', '2')], {}, 'invalid-content', /below a file/]
  ]
  for (const [what, entries, options, code, message] of refused) {
    it(`refuses ${what}`, async () => {
      await assert.rejects(importAll(entries, options), { name: 'AddError', code, message })
    })
  }
})
