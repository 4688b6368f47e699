/**
 * Overrides of `service.json` by the environment, with IPFS Cluster's names: `CLUSTER_` + the prefix of the section + the key in capitals
 * without underscores, so that `cluster.dial_peer_timeout` is `CLUSTER_DIALPEERTIMEOUT` and `connection_manager.high_water` is
 * `CLUSTER_CONNECTIONMANAGER_HIGHWATER`. Called at each load and by `init`, which thereby writes the values of that moment into the file.
 *
 * A variable that is set and empty counts as set. Sections that the file does not have stay absent.
 */

import { environmentKey, type JsonObject, jsonKey, type Shape } from './field.ts'
import { ignoredPlaces, isObject, objectAt, type SectionSpec, sections } from './schema.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** Variables that begin with `CLUSTER_` and are read elsewhere: the identity, and the credentials of `ctl`. */
const otherVariables: ReadonlySet<string> = new Set(['CLUSTER_ID', 'CLUSTER_PRIVATEKEY', 'CLUSTER_CREDENTIALS'])

/** A variable, and the key that it overrides. */
interface Variable {
  readonly name: string
  /** The key, as a path inside its section. */
  readonly keys: readonly string[]
  readonly fromText: (text: string) => JsonObject[string]
}

/** All variables of a section. */
export function variablesOf({ prefix, shape }: Pick<SectionSpec, 'prefix' | 'shape'>): readonly Variable[] {
  return variablesIn(shape, prefix, [])
}

function variablesIn(shape: Shape, prefix: string, above: readonly string[]): readonly Variable[] {
  return Object.entries(shape).flatMap(([name, entry]) => {
    const key = jsonKey(name, entry)
    const variable = `${prefix}${environmentKey(key)}`
    if (entry.kind === 'group') return variablesIn(entry.members, `${variable}_`, [...above, key])
    return entry.options.fileOnly === true
      ? []
      : [{ name: variable, keys: [...above, key], fromText: (text: string) => entry.fromText(text) }]
  })
}

/**
 * Applies the environment to a document, which is changed.
 *
 * @returns which variable each overridden key came from, and warnings about variables that look like ours and are not
 */
export function applyEnvironment(
  document: JsonObject,
  env: Environment
): { readonly variableOf: ReadonlyMap<string, string>; readonly warnings: readonly string[] } {
  const variableOf = new Map<string, string>()
  const known = new Set(otherVariables)
  for (const section of Object.values<SectionSpec>(sections)) {
    const target = objectAt(document, section.path)
    for (const { name, keys, fromText } of variablesOf(section)) {
      known.add(name)
      const text = env[name]
      if (text === undefined || target === undefined) continue
      if (setAt(target, keys, fromText(text))) variableOf.set([...section.path, ...keys].join('.'), name)
    }
  }
  const ignoredPrefixes = ['CLUSTER_CRDT_', ...ignoredPlaces.flatMap(({ prefix }) => prefix ?? [])]
  const warnings = Object.keys(env)
    .filter((name) => name.startsWith('CLUSTER_') && !known.has(name))
    .filter((name) => !ignoredPrefixes.some((prefix) => name.startsWith(prefix)))
    .map((name) => `the environment variable ${name} is not one that Quorate knows, and is ignored`)
  return { variableOf, warnings: warnings.sort() }
}

/** Sets a value, making the objects on the way; false if something else than an object is in the way, which the reader will refuse. */
function setAt(target: JsonObject, keys: readonly string[], value: JsonObject[string]): boolean {
  let here = target
  for (const key of keys.slice(0, -1)) {
    const next = here[key] ?? {}
    if (!isObject(next)) return false
    here[key] = next
    here = next
  }
  here[keys.at(-1) ?? ''] = value
  return true
}
