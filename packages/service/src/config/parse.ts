/**
 * Reads one section: each key by its field, defaults for what is absent, a problem for each value that is not allowed and a warning for
 * each key that nobody knows. Called by `load.ts`.
 *
 * Where this differs from IPFS Cluster: there an absent boolean is false and an absent number is often 0, whatever the documented default
 * says. Here an absent key always has its documented default.
 */

import type { ConfigProblem } from './errors.ts'
import {
  type Field,
  type FieldContext,
  fallbackOf,
  type Group,
  type JsonObject,
  type JsonValue,
  jsonKey,
  type Shape,
  type Values
} from './field.ts'
import { isObject } from './schema.ts'

/** Gathers what is found while a document is read. */
export interface Findings {
  readonly problems: ConfigProblem[]
  readonly warnings: string[]
  /** Which variable of the environment a value came from, by the path of its key. */
  readonly variableOf: ReadonlyMap<string, string>
}

/**
 * @param json the section as it stands in the file, with the environment applied; it is not changed
 * @param path its place, `consensus.raft`
 * @returns the values, complete and of the right types; where there was a problem it is noted and the default stands in its place
 */
export function parseSection<S extends Shape>(
  shape: S,
  json: JsonObject,
  path: string,
  context: FieldContext,
  findings: Findings,
  otherKeys: ReadonlySet<string> = new Set()
): Values<S> {
  const values: Record<string, unknown> = {}
  const known = new Set(otherKeys)
  for (const [name, entry] of Object.entries(shape)) {
    const key = jsonKey(name, entry)
    known.add(key)
    const value: JsonValue = Object.hasOwn(json, key) ? (json[key] ?? null) : null
    const place = `${path}.${key}`
    values[name] =
      entry.kind === 'group'
        ? parseGroup(entry, value, place, context, findings)
        : parseField(entry, value, place, context, findings)
  }
  for (const key of Object.keys(json)) {
    if (!known.has(key)) findings.warnings.push(unknownKey(`${path}.${key}`, key, known))
  }
  // Each member was made by the field of its name, which is what `Values` says.
  return values as Values<S>
}

function parseGroup(
  entry: Group<Shape>,
  value: JsonValue,
  path: string,
  context: FieldContext,
  findings: Findings
): Values<Shape> {
  if (value !== null && !isObject(value)) {
    findings.problems.push({ path, value: show(value), reason: 'it must be an object' })
  }
  return parseSection(entry.members, isObject(value) ? value : {}, path, context, findings)
}

function parseField(
  field: Field<unknown>,
  value: JsonValue,
  path: string,
  context: FieldContext,
  findings: Findings
): unknown {
  const fallback = fallbackOf(field)
  const given = value === null || field.isAbsent(value) ? fallback : value
  let result = field.schema.safeParse(given)
  if (!result.success) {
    const variable = findings.variableOf.get(path)
    // Only our own checks give a reason worth telling; the library's words for a wrong type say less than `allowed`.
    const detail = result.error.issues.find((issue) => issue.code === 'custom' && issue.message !== 'Invalid input')
    findings.problems.push({
      path: variable === undefined ? path : `${path} (from ${variable})`,
      value: field.options.secret === true ? 'the value (not shown)' : show(value),
      reason: `it must be ${field.allowed}${detail === undefined ? '' : ` (${detail.message})`}`
    })
    result = field.schema.safeParse(fallback)
  }
  if (!result.success) throw new Error(`the default of ${path} is not allowed there`)
  return field.finish === undefined ? result.data : field.finish(result.data, context)
}

/** A value as JSON, shortened: a file may hold anything. */
export function show(value: JsonValue): string {
  const text = JSON.stringify(value)
  return text.length > 120 ? `${text.slice(0, 117)}...` : text
}

/** The warning about a key that nobody knows, with the key that may have been meant. */
export function unknownKey(path: string, key: string, known: Iterable<string>): string {
  const plain = (text: string) => text.replaceAll(/[_-]/g, '').toLowerCase()
  const meant = [...known].find((candidate) => distanceAtMost(plain(candidate), plain(key), 2))
  return `${path} is not a key that Quorate knows, and is ignored${meant === undefined ? '' : `; did you mean ${meant}?`}`
}

/** Whether one text becomes the other by at most `limit` insertions, deletions and replacements (Levenshtein), for short texts. */
function distanceAtMost(a: string, b: string, limit: number): boolean {
  if (Math.abs(a.length - b.length) > limit || b.length > 64 || Math.min(a.length, b.length) <= limit) return a === b
  let row = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1))
    }
    row = next
  }
  return row[b.length]! <= limit
}
