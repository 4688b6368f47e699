/**
 * The files, directories and URLs that `add` is given, as parts of an upload: a directory comes before what is in it, names in
 * bytewise order, symbolic links as links. Nothing is read before its turn.
 */

import { createReadStream, type Stats } from 'node:fs'
import { lstat, readdir, readlink } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import type { AddSource } from '@quorate/client'
import { CtlError } from './io.ts'

export interface WalkOptions {
  readonly recursive: boolean
  /** Take names that begin with a dot; what the user names himself is always taken. */
  readonly hidden: boolean
  readonly signal: AbortSignal
}

function isUrl(path: string): boolean {
  return /^https?:\/\//i.test(path)
}

async function statPath(path: string): Promise<Stats> {
  try {
    return await lstat(path)
  } catch (error) {
    throw new CtlError(`cannot add ${JSON.stringify(path)}: ${(error as Error).message}`, { cause: error })
  }
}

async function* children(
  path: string,
  options: WalkOptions
): AsyncGenerator<{ path: string; stats: Stats; name: string }> {
  const names = (await readdir(path)).filter((name) => options.hidden || !name.startsWith('.'))
  for (const name of names.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))) {
    options.signal.throwIfAborted()
    const child = join(path, name)
    yield { path: child, name, stats: await statPath(child) }
  }
}

/**
 * Checks that everything is there.
 *
 * @returns bytes of all files together, without URLs
 * @throws {CtlError} when a path is missing, a directory is given without `recursive`, or it is neither file, directory nor link
 */
export async function measureSources(paths: readonly string[], options: WalkOptions): Promise<number> {
  let bytes = 0
  for (const path of paths) {
    if (!isUrl(path)) bytes += await measure(path, await statPath(path), options)
  }
  return bytes
}

async function measure(path: string, stats: Stats, options: WalkOptions): Promise<number> {
  if (stats.isFile()) return stats.size
  if (stats.isSymbolicLink()) return 0
  if (!stats.isDirectory()) {
    throw new CtlError(`cannot add ${JSON.stringify(path)}: it is neither a file, a directory nor a symbolic link`)
  }
  if (!options.recursive) throw new CtlError(`${path} is a directory, but Recursive option is not set`)
  let bytes = 0
  for await (const child of children(path, options)) bytes += await measure(child.path, child.stats, options)
  return bytes
}

/** @throws {CtlError} as {@link measureSources}, and when something cannot be read */
export async function* openSources(paths: readonly string[], options: WalkOptions): AsyncGenerator<AddSource> {
  for (const path of paths) {
    if (isUrl(path)) yield { path: nameOfUrl(path), content: download(path, options.signal) }
    // Resolved, because `.` and `a/..` have names too.
    else yield* open(path, basename(resolve(path)) || 'root', await statPath(path), options)
  }
}

async function* open(path: string, name: string, stats: Stats, options: WalkOptions): AsyncGenerator<AddSource> {
  if (stats.isSymbolicLink()) yield { path: name, type: 'symlink', content: await readlink(path) }
  else if (stats.isFile()) yield { path: name, content: read(path) }
  else if (stats.isDirectory()) {
    yield { path: name, type: 'directory' }
    for await (const child of children(path, options))
      yield* open(child.path, `${name}/${child.name}`, child.stats, options)
  }
}

/** Opens the file only when it is its turn, so that none stays open if the upload ends before. */
async function* read(path: string): AsyncGenerator<Uint8Array> {
  yield* createReadStream(path, { highWaterMark: readBytes })
}

/** One chunk of the usual chunker. */
const readBytes = 256 * 1024

function nameOfUrl(url: string): string {
  const { pathname, hostname } = new URL(url)
  return decodeURIComponent(pathname.split('/').findLast((segment) => segment !== '') ?? hostname)
}

async function* download(url: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const response = await fetch(url, { signal }).catch((error: Error) => {
    throw new CtlError(
      `cannot download ${url}: ${error.cause instanceof Error ? error.cause.message : error.message}`,
      {
        cause: error
      }
    )
  })
  if (!response.ok || response.body === null) {
    throw new CtlError(`cannot download ${url}: it answered ${response.status} ${response.statusText}`)
  }
  yield* response.body
}
