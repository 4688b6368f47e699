/**
 * Makes the document that `init` writes as `service.json`, and writes it. What is in it: every section that does its work in this version,
 * and in them every key that does, with its default; keys that few people set are left out, as IPFS Cluster does.
 */

import { join } from 'node:path'
import { replaceFile } from './atomic-file.ts'
import { fallbackOf, type JsonObject, type JsonValue, jsonKey, type Shape } from './field.ts'
import { configFileName } from './load.ts'
import { type SectionSpec, sections } from './schema.ts'

/** Which IPFS node a new peer gets: its own, or the Kubo daemon whose RPC API listens at the address. */
export type IpfsChoice =
  | { readonly kind: 'embedded' }
  | { readonly kind: 'ipfshttp'; readonly nodeMultiaddress: string }

/** A document with all defaults. The secret is empty: the caller makes one. */
export function defaultDocument(ipfs: IpfsChoice): JsonObject {
  const document: JsonObject = {}
  for (const [name, section] of Object.entries<SectionSpec>(sections)) {
    if (section.status !== 'served') continue
    if ((name === 'embedded' || name === 'ipfshttp') && name !== ipfs.kind) continue
    const values = defaultsOf(section.shape)
    if (name === 'ipfshttp' && ipfs.kind === 'ipfshttp') values.node_multiaddress = ipfs.nodeMultiaddress
    const [first, second] = section.path
    if (second === undefined) {
      document[first] = values
    } else {
      document[first] = { ...(document[first] as JsonObject | undefined), [second]: values }
    }
  }
  return document
}

function defaultsOf(shape: Shape): JsonObject {
  const values: JsonObject = {}
  for (const [name, entry] of Object.entries(shape)) {
    const key = jsonKey(name, entry)
    if (entry.kind === 'group') {
      const members = defaultsOf(entry.members)
      if (Object.keys(members).length > 0) values[key] = members
    } else if (entry.options.inert !== true && entry.options.omit !== true) {
      values[key] = bare(fallbackOf(entry), entry.allowed)
    }
  }
  return values
}

/** Lists of addresses with one member are written as a bare text, as IPFS Cluster writes them. */
function bare(value: JsonValue, allowed: string): JsonValue {
  return Array.isArray(value) && value.length === 1 && allowed.startsWith('a multiaddress') ? value[0]! : value
}

/**
 * Writes a document as the `service.json` of a folder, readable by its owner alone, in one step: nobody ever reads half of it.
 *
 * @param folder must exist
 */
export async function saveConfig(folder: string, document: JsonObject): Promise<void> {
  await replaceFile(join(folder, configFileName), `${JSON.stringify(document, null, 2)}\n`, { mode: 0o600 })
}
