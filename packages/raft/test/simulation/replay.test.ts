/** The command `npm run replay`, given what is no flight record that it can read: one line that names the file and says why. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { encodeFlightRecord } from '../../src/driver/flight-record.ts'

const command = new URL('replay.ts', import.meta.url).pathname

/** Of nobody, with no step in it. */
const emptyRecord = Buffer.concat([...encodeFlightRecord({ reason: 'a test', generations: [] })])
const firstLineBytes = emptyRecord.indexOf('\n') + 1

describe('npm run replay', () => {
  let folder = ''
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'quorate-replay-'))
  })
  after(() => rm(folder, { recursive: true, force: true }))

  function replay(...words: readonly string[]): { readonly code: number | null; readonly said: string } {
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--conditions=quorate-source', command, ...words], {
      encoding: 'utf8'
    })
    return { code: status, said: stdout + stderr }
  }

  const flipped = Buffer.from(emptyRecord)
  flipped[emptyRecord.length - 1]! ^= 1
  const unusable: readonly (readonly [name: string, content: Uint8Array, why: string])[] = [
    ['notes.txt', Buffer.from('hello\n'), 'This is no flight record'],
    ['damaged.record', flipped, `The flight record is damaged at byte ${firstLineBytes}`],
    [
      'newer.record',
      Buffer.from('quorate flight record 2\n…'),
      'This is a flight record of version 2, and versions up to 1 are known here: use a newer Quorate'
    ]
  ]
  for (const [name, content, why] of unusable) {
    it(`says what is wrong with ${name}`, async () => {
      const file = join(folder, name)
      await writeFile(file, content)
      assert.deepEqual(replay(file), { code: 2, said: `Cannot replay ${file}: ${why}\n` })
    })
  }

  it('says that there is no such file, and of what is no file why it cannot be read', () => {
    const file = join(folder, 'missing.record')
    assert.deepEqual(replay(file), { code: 2, said: `Cannot replay ${file}: There is no such file\n` })
    const { code, said } = replay(folder)
    assert.equal(code, 2)
    assert.match(said, /^Cannot replay .+: It cannot be read: EISDIR.*\n$/)
  })

  it('says how it is used when it is not used so', () => {
    for (const words of [[], ['--unknown', 'one']]) {
      const { code, said } = replay(...words)
      assert.equal(code, 2)
      assert.match(said, /Usage: npm run replay -- \[--last=<count>] <flight record>\n$/)
      assert.doesNotMatch(said, /\n +at /)
    }
  })

  it('runs a record, and ends with 0', async () => {
    const file = join(folder, 'sound.record')
    await writeFile(file, emptyRecord)
    const { code, said } = replay(file)
    assert.equal(code, 0, said)
    assert.match(said, /recorded because of: a test\n0 steps .*\nevery step is as it was recorded\n$/)
  })
})
