/** What can become of the files of a disk: bits, pages, tails, whole files, and files in each other's place. */

import type { CrashFileSystem } from '../storage/crash-file-system.ts'
import type { Random } from '../storage/random.ts'

/** @returns what was done, in words */
export function harm(disk: CrashFileSystem, foreign: CrashFileSystem, random: Random): string {
  const files = disk.files()
  const path = files[random.below(files.length)]!
  const kind = random.below(12)
  if (kind === 0 && files.length > 1) {
    const other = files[random.below(files.length)]!
    return swap(disk, path, other)
  }
  if (kind === 1) {
    const theirs = foreign.files()
    const other = theirs[random.below(theirs.length)]!
    const content = contentOf(foreign, other)
    disk.damage(path, () => content)
    return `${path} is ${other} of another node`
  }
  let what = ''
  disk.damage(path, (content) => {
    const length = Math.max(content.length, 1)
    const at = random.below(length)
    const count = Math.min(1 + random.below(random.below(2) === 0 ? 16 : 600), length - at)
    what = `${path} of ${content.length} bytes, `
    if (kind <= 5) {
      what += `a bit flips at ${at}`
      if (content.length > 0) content[at]! ^= 1 << random.below(8)
    } else if (kind === 6) {
      what += `${count} bytes at ${at} become zero`
      content.fill(0, at, at + count)
    } else if (kind === 7) {
      const page = at - (at % 512)
      what += `the page at ${page} becomes zero`
      content.fill(0, page, page + 512)
    } else if (kind === 8) {
      what += `${count} bytes at ${at} become others`
      if (content.length > 0) content.set(random.bytes(count), at)
    } else if (kind === 9) {
      what += `it is cut at ${at}`
      return content.slice(0, at)
    } else if (kind === 10 && files.length > 1) {
      what += 'it is gone'
      return undefined
    } else {
      const source = random.below(length)
      what += `what stands at ${source} is at ${at} too`
      content.copyWithin(at, source)
    }
    return content
  })
  return what
}

function contentOf(disk: CrashFileSystem, path: string): Uint8Array {
  let found = new Uint8Array(0)
  disk.damage(path, (content) => {
    found = Uint8Array.from(content)
    return content
  })
  return found
}

function swap(disk: CrashFileSystem, path: string, other: string): string {
  const [first, second] = [contentOf(disk, path), contentOf(disk, other)]
  disk.damage(path, () => second)
  disk.damage(other, () => first)
  return `${path} and ${other} are in each other's place`
}
