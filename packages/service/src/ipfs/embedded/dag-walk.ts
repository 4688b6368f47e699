/**
 * Visits every node of a DAG once, many at a time. Used to pin (each visit fetches what is missing) and to find what pins need
 * (each visit reads what is here). The order is depth first, roughly that of the file, whatever the links say.
 *
 * Memory: nodes whose links have not all been visited stand on a stack. The depth and width of a DAG are a stranger's choice, so only
 * the upper part of the stack keeps its links; a node further down is read again when its turn comes. What has been visited is
 * a `NodeSet`; blocks whose codec has no links are not in it, and are visited at each occurrence.
 */

import type { CID } from 'multiformats/cid'
import { isLeafCodec, linksOf } from './links.ts'
import type { NodeSet } from './multihash-set.ts'

/** Enough to hide a round trip of 10 ms at 100 MB/s in blocks of 256 KiB, few enough for every node's want list. */
const CONCURRENT_VISITS = 32
/** Some 20 MB of CIDs. */
const LINKS_IN_MEMORY = 100_000

export interface WalkInit {
  readonly root: CID
  /** What has been visited; may be shared between walks. */
  readonly seen: NodeSet
  /** Resolves to the bytes, or to undefined if there is nothing to follow. Rejecting ends the walk. */
  readonly visit: (cid: CID, signal: AbortSignal) => Promise<Uint8Array | undefined>
  /** Reads a visited block again. */
  readonly reread: (cid: CID, signal: AbortSignal) => Promise<Uint8Array>
  readonly signal?: AbortSignal | undefined
}

/**
 * Resolves when all is visited.
 * @throws what `visit` rejects with, or the signal's reason; no visit runs any more then
 */
export async function walkDag(init: WalkInit): Promise<void> {
  const failed = new AbortController()
  const signal = init.signal === undefined ? failed.signal : AbortSignal.any([init.signal, failed.signal])
  const frontier = new Frontier(init, signal)
  const running = new Set<Promise<void>>()
  let failure: { error: unknown } | undefined

  const visit = async (cid: CID): Promise<void> => {
    try {
      const bytes = await init.visit(cid, signal)
      if (bytes !== undefined) frontier.push(cid, linksOf(cid, bytes))
    } catch (error) {
      failure ??= { error }
      failed.abort(error)
    }
  }

  frontier.pushRoot(init.root)
  for (;;) {
    let next: CID | undefined
    if (failure === undefined && !signal.aborted) {
      try {
        next = await frontier.next()
      } catch (error) {
        failure ??= { error }
        failed.abort(error)
      }
    }
    if (next !== undefined) {
      const visiting: Promise<void> = visit(next).finally(() => running.delete(visiting))
      running.add(visiting)
      if (running.size < CONCURRENT_VISITS) continue
    }
    if (running.size === 0) break
    await Promise.race(running)
  }
  init.signal?.throwIfAborted()
  if (failure !== undefined) throw failure.error
}

interface StackedNode {
  readonly cid: CID | undefined
  /** Undefined: to be read again. */
  links: readonly CID[] | undefined
  nextLink: number
}

class Frontier {
  readonly #init: WalkInit
  readonly #signal: AbortSignal
  readonly #stack: StackedNode[] = []
  #linksInMemory = 0

  constructor(init: WalkInit, signal: AbortSignal) {
    this.#init = init
    this.#signal = signal
  }

  pushRoot(cid: CID): void {
    this.#stack.push({ cid: undefined, links: [cid], nextLink: 0 })
  }

  push(cid: CID, links: readonly CID[]): void {
    if (links.length === 0) return
    this.#stack.push({ cid, links, nextLink: 0 })
    this.#linksInMemory += links.length
    for (let i = 0; this.#linksInMemory > LINKS_IN_MEMORY && i < this.#stack.length - 1; i++) {
      const node = this.#stack[i] as StackedNode
      if (node.cid === undefined || node.links === undefined) continue
      this.#linksInMemory -= node.links.length
      node.links = undefined
    }
  }

  /** Undefined when the stack is empty, for now: a visit that runs may push more. */
  async next(): Promise<CID | undefined> {
    for (;;) {
      const node = this.#stack.at(-1)
      if (node === undefined) return undefined
      if (node.links === undefined && node.cid !== undefined) {
        const links = linksOf(node.cid, await this.#init.reread(node.cid, this.#signal))
        node.links = links
        this.#linksInMemory += links.length
        // A visit may have pushed while this was read.
        continue
      }
      const link = node.links?.[node.nextLink++]
      if (link === undefined) {
        this.#remove(node)
        continue
      }
      if (isLeafCodec(link) || this.#init.seen.add(link)) return link
    }
  }

  #remove(node: StackedNode): void {
    const at = this.#stack.lastIndexOf(node)
    if (at >= 0) this.#stack.splice(at, 1)
    if (node.cid !== undefined) this.#linksInMemory -= node.links?.length ?? 0
  }
}
