/**
 * The `peerstore` file: addresses of other peers, one a line, first tried first. Read by the daemon at its start, written by it whenever
 * addresses change, written by `init`, and edited by people while the daemon is down.
 *
 * IPFS Cluster rewrites the file at a clean stop with whatever it has in memory then, so that comments, and peers that were away for an
 * hour, are gone. Here the lines above a marker belong to people and are never touched; what the daemon learned stands below it and is
 * replaced as a whole. A file without a marker, such as IPFS Cluster's, belongs to people entirely.
 */

import { readFile } from 'node:fs/promises'
import { replaceFile } from './atomic-file.ts'
import { peerAddressFault } from './peer-address.ts'

/** Begins the part that the daemon writes. Recognised by its first words, so that the rest may be worded anew. */
const markerStart = '# Learned by quorate-service'
const marker = `${markerStart}; everything below this line is replaced when addresses change. Your own lines go above it.`

export interface PeerstoreContents {
  /** In the order of the file, which is the order in which they are tried; each once. */
  readonly addresses: readonly string[]
  /** Lines that look like addresses and are not usable, counted from 1. */
  readonly problems: readonly { readonly line: number; readonly text: string; readonly reason: string }[]
}

/** One peerstore file. Writes are made one after the other. */
export class PeerstoreFile {
  readonly path: string
  #writing: Promise<void> = Promise.resolve()

  /** @param path absolute; the file need not exist */
  constructor(path: string) {
    this.path = path
  }

  /** A file that is not there is empty. */
  async read(): Promise<PeerstoreContents> {
    return parsePeerstore((await this.#text()) ?? '')
  }

  /**
   * Replaces what the daemon learned. Lines of people stay where they are, and addresses that stand among them are not repeated.
   * Nothing is written when nothing changes.
   *
   * @param learned addresses that end in `/p2p/<peer ID>`, first tried first; the caller keeps it to members, and thereby bounded
   */
  write(learned: readonly string[]): Promise<void> {
    return this.#enqueue((text) => {
      const own = ownLines(text)
      const kept = new Set(own.map((line) => line.trim()))
      const added = [...new Set(learned)].filter((address) => !kept.has(address) && !/[\r\n]/.test(address))
      return added.length === 0 ? own : [...own, marker, ...added]
    })
  }

  /**
   * Adds lines to those of people, unless they are there; for `init`. What the daemon learned is kept.
   *
   * @returns how many addresses the file holds afterwards
   */
  async add(addresses: readonly string[]): Promise<number> {
    await this.#enqueue((text) => {
      const own = ownLines(text)
      const kept = new Set(own.map((line) => line.trim()))
      return [...own, ...new Set(addresses.filter((address) => !kept.has(address))), ...learnedLines(text)]
    })
    return (await this.read()).addresses.length
  }

  #enqueue(change: (text: string) => readonly string[]): Promise<void> {
    const write = this.#writing.then(async () => {
      const before = await this.#text()
      const after = change(before ?? '')
        .map((line) => `${line}\n`)
        .join('')
      if (after !== before) await replaceFile(this.path, after, { mode: 0o644, keepMode: true })
    })
    // The next write must not fail because this one did; this one's caller hears of it.
    this.#writing = write.catch(() => {})
    return write
  }

  /** Undefined if there is no file. */
  async #text(): Promise<string | undefined> {
    try {
      return await readFile(this.path, 'utf8')
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
      throw error
    }
  }
}

/** Reads the text of a peerstore file. As in IPFS Cluster, a line that does not begin with a slash is a comment. */
export function parsePeerstore(text: string): PeerstoreContents {
  const addresses = new Set<string>()
  const problems: { line: number; text: string; reason: string }[] = []
  for (const [at, line] of linesOf(text).entries()) {
    const address = line.trim()
    if (!address.startsWith('/')) continue
    const reason = peerAddressFault(address)
    if (reason === undefined) addresses.add(address)
    else problems.push({ line: at + 1, text: address, reason })
  }
  return { addresses: [...addresses], problems }
}

/** The lines, without the empty one after the last line break. */
function linesOf(text: string): readonly string[] {
  const lines = text.split(/\r?\n/)
  return lines.at(-1) === '' ? lines.slice(0, -1) : lines
}

function ownLines(text: string): readonly string[] {
  const lines = linesOf(text)
  const at = lines.findIndex((line) => line.startsWith(markerStart))
  return at < 0 ? lines : lines.slice(0, at)
}

function learnedLines(text: string): readonly string[] {
  return linesOf(text).slice(ownLines(text).length)
}
