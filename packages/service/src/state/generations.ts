/**
 * Which of the databases in the state's folder is the one in force, so that a restored snapshot takes the place of the old state
 * in one step: `current` names a folder `gen-<number>`; a new one is filled beside it and put in force by renaming a file over
 * `current`. A crash leaves either the old or the new state, never a mixture. Used by `pinset-state.ts`.
 */

import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'

const CURRENT = 'current'
/** What was found damaged last. */
const ASIDE = 'damaged'
const NAME = /^gen-(\d{1,15})$/

/** The folder in force, made if there is none yet. Removes the others: leftovers of a restore that was interrupted. */
export async function openCurrentGeneration(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true })
  const stored = await readCurrent(folder)
  const entries = (await readdir(folder)).filter((entry) => NAME.test(entry))
  if (stored === undefined) {
    // Damaged, or lost, the file may have named any that is here. The newest is either the one, or has not come to hold anything; the log
    // and the peers make up for it. None is removed where no file says which one counts.
    const newest = entries.reduce((most, entry) => Math.max(most, Number(NAME.exec(entry)?.[1])), 1)
    const name = `gen-${newest}`
    await makeCurrent(folder, name)
    return name
  }
  for (const entry of entries) {
    if (entry !== stored) await rm(join(folder, entry), { recursive: true, force: true })
  }
  return stored
}

/** Puts a database aside that cannot be used, in the place of one that was put there before: nobody but a person will look at it. */
export async function setAside(folder: string, name: string): Promise<void> {
  const aside = join(folder, ASIDE)
  await rm(aside, { recursive: true, force: true })
  await rename(join(folder, name), aside)
}

/** An empty name after `name`; what an earlier attempt left there is removed. */
export async function nextGeneration(folder: string, name: string): Promise<string> {
  const next = `gen-${Number(NAME.exec(name)?.[1] ?? 0) + 1}`
  await rm(join(folder, next), { recursive: true, force: true })
  return next
}

/** Puts a folder in force, durably. Its contents must be durable already. */
export async function makeCurrent(folder: string, name: string): Promise<void> {
  const temporary = join(folder, `${CURRENT}.new`)
  const file = await open(temporary, 'w')
  try {
    await file.writeFile(`${name}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, join(folder, CURRENT))
  const directory = await open(folder, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/** @returns undefined if there is none that can be read */
async function readCurrent(folder: string): Promise<string | undefined> {
  let text: string
  try {
    text = await readFile(join(folder, CURRENT), 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  const name = text.trim()
  return NAME.test(name) ? name : undefined
}
