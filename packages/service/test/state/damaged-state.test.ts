/** Damage to any file of the database: the state opens, as it was or empty, and is rebuilt by the log and the peers. */

import assert from 'node:assert/strict'
import { cp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { openPinsetState } from '../../src/state/pinset-state.ts'
import { commands, temporaryFolder, testPin } from './fixtures.ts'

const harms: Record<string, (path: string) => Promise<void>> = {
  'is gone': (path) => rm(path),
  'is empty': (path) => truncate(path, 0),
  'is cut in half': async (path) => truncate(path, (await readFile(path)).length >> 1),
  'is zero': async (path) => writeFile(path, new Uint8Array((await readFile(path)).length)),
  'has other bits': async (path) =>
    writeFile(
      path,
      (await readFile(path)).map((byte, at) => (at % 97 === 5 ? byte ^ 4 : byte))
    )
}

describe('pinset state, damage', () => {
  it('opens whatever is damaged, and is either what it was or says that it is not', async (t) => {
    const folder = await temporaryFolder(t)
    const original = join(folder, 'original')
    const state = await openPinsetState({ folder: original })
    for (let index = 1; index <= 20; index++)
      await state.apply(commands(index, [{ kind: 'pin', pin: testPin(index) }]), index)
    await state.close()
    // A table of its own beside the log.
    const again = await openPinsetState({ folder: original })
    await again.apply(commands(21, [{ kind: 'pin', pin: testPin(21) }]), 21)
    await again.close()
    const files = [...(await readdir(join(original, 'gen-1'))).map((name) => join('gen-1', name)), 'current'].filter(
      (name) => !/LOCK|LOG/.test(name)
    )
    const seen = { whole: 0, discarded: 0 }
    for (const file of files) {
      for (const [what, harm] of Object.entries(harms)) {
        const copy = join(folder, 'copy')
        await rm(copy, { recursive: true, force: true })
        await cp(original, copy, { recursive: true })
        await harm(join(copy, file))
        const opened = await openPinsetState({ folder: copy }).catch((error: unknown) => {
          throw new Error(`${file} ${what}: ${String(error)}`, { cause: error })
        })
        assert.equal(opened.discarded, opened.appliedIndex() === 0, `${file} ${what}`)
        if (opened.discarded) seen.discarded++
        else {
          seen.whole++
          assert.equal(opened.count(), opened.appliedIndex(), `${file} ${what}`)
        }
        await opened.apply(commands(22, [{ kind: 'pin', pin: testPin(22) }]), 22)
        await opened.close()
      }
    }
    t.diagnostic(JSON.stringify(seen))
    assert(seen.discarded > 5)
  })
})
