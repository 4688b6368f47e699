/**
 * How the leaves of a file are gathered under one root: `balanced` (all leaves at one depth, good for reading anywhere) or `trickle`
 * (deeper towards the end, good for reading from the start). Leaves are given one by one and the memory taken is that of one path.
 * @see https://github.com/ipfs/boxo/tree/main/ipld/unixfs/importer
 */

import type { DagNode, NodeWriter } from './unixfs-node.ts'

/** Kubo's: so many links of a CIDv0 fit into 8 KiB. */
const MAX_CHILDREN = 174
/** Subtrees of each depth under a trickle node. */
const LAYER_REPEAT = 4

export interface Layout {
  add(chunk: Uint8Array): void
  /** The root. Call once, after the last chunk. */
  finish(): DagNode
}

export function createLayout(kind: 'balanced' | 'trickle', writer: NodeWriter): Layout {
  return kind === 'balanced' ? new Balanced(writer) : new Trickle(writer)
}

class Balanced implements Layout {
  readonly #writer: NodeWriter
  /** `#levels[i]` waits for a parent at height `i + 1`; each holds at most `MAX_CHILDREN`. */
  readonly #levels: DagNode[][] = [[]]

  constructor(writer: NodeWriter) {
    this.#writer = writer
  }

  add(chunk: Uint8Array): void {
    this.#push(this.#writer.leaf(chunk, 'file'), 0)
  }

  finish(): DagNode {
    for (let height = 0; ; height++) {
      const level = this.#levels[height] ?? []
      if (height === this.#levels.length - 1) {
        const only = level[0]
        if (only === undefined) return this.#writer.leaf(new Uint8Array(), 'file')
        if (level.length === 1) return only
      }
      this.#levels[height] = []
      this.#push(this.#writer.file(level), height + 1)
    }
  }

  #push(node: DagNode, height: number): void {
    let level = this.#levels[height]
    if (level === undefined) {
      level = []
      this.#levels[height] = level
    }
    if (level.length === MAX_CHILDREN) {
      this.#levels[height] = [node]
      this.#push(this.#writer.file(level), height + 1)
    } else level.push(node)
  }
}

/**
 * A node first takes `MAX_CHILDREN` leaves, then `LAYER_REPEAT` subtrees of depth 1, as many of depth 2, and so on; a subtree of depth `d` is
 * such a node with subtrees of depths below `d`.
 */
interface TrickleNode {
  readonly children: DagNode[]
  leaves: number
  /** The root's is without end. */
  readonly maxDepth: number
  /** Depth of the subtrees that are being added, and how many of that depth there are. */
  depth: number
  repeats: number
}

class Trickle implements Layout {
  readonly #writer: NodeWriter
  /** The path from the root to where the next leaf goes. */
  readonly #path: TrickleNode[] = [newTrickleNode(Number.POSITIVE_INFINITY)]

  constructor(writer: NodeWriter) {
    this.#writer = writer
  }

  add(chunk: Uint8Array): void {
    for (;;) {
      const node = this.#path.at(-1) as TrickleNode
      if (node.leaves < MAX_CHILDREN) {
        node.children.push(this.#writer.leaf(chunk, 'raw'))
        node.leaves++
        return
      }
      if (node.repeats === LAYER_REPEAT) {
        node.depth++
        node.repeats = 0
      }
      if (node.depth < node.maxDepth) {
        node.repeats++
        this.#path.push(newTrickleNode(node.depth))
      } else this.#close()
    }
  }

  finish(): DagNode {
    while (this.#path.length > 1) this.#close()
    return this.#writer.file((this.#path[0] as TrickleNode).children)
  }

  #close(): void {
    const node = this.#path.pop() as TrickleNode
    this.#path.at(-1)?.children.push(this.#writer.file(node.children))
  }
}

function newTrickleNode(maxDepth: number): TrickleNode {
  return { children: [], leaves: 0, maxDepth, depth: 1, repeats: 0 }
}
