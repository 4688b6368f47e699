/**
 * JSON as IPFS Cluster's peers write it, and tolerant reading of what they send. The writer escapes `<`, `>`, `&` and the two line
 * separators as Go's encoder does, keeps the members of an object in the order they were put there, sorts the keys of a map bytewise
 * (a `Map`, because JavaScript objects put keys that look like integers first), and writes a bigint in full. The readers
 * take a missing member, or null, for the zero value, ignore members they do not know, and refuse a member of another type.
 *
 * Called by the codecs beside it, by `ndjson.ts`, and by the command line for its `--enc json`.
 *
 * @see https://pkg.go.dev/encoding/json#Marshal
 */

export type JsonValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly JsonValue[]
  | ReadonlyMap<string, JsonValue>
  | { readonly [member: string]: JsonValue | undefined }

/** What came over the wire is not what the contract says. `at` names the place, such as `pin.allocations`. */
export class DecodeError extends Error {
  static override readonly name = 'DecodeError'
  override readonly name = 'DecodeError'
  readonly at: string

  constructor(at: string, problem: string, options?: ErrorOptions) {
    super(`cannot decode ${at}: ${problem}`, options)
    this.at = at
  }
}

/** Turns a value of the code into JSON and back. `decode` throws {@link DecodeError}. */
export interface Codec<T> {
  encode(value: T): JsonValue
  decode(value: unknown): T
}

/** Every string that does not match stands for itself between quotes. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what JSON must escape
const needsEscape = /["\\\u0000-\u001f<>&\u2028\u2029\ud800-\udfff]/
const goEscapes = /[<>&\u2028\u2029]/g

function writeString(text: string): string {
  if (!needsEscape.test(text)) return `"${text}"`
  return JSON.stringify(text.toWellFormed()).replace(
    goEscapes,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  )
}

function write(value: JsonValue, indent: string, newline: string): string {
  if (value === null) return 'null'
  if (typeof value === 'string') return writeString(value)
  if (typeof value !== 'object') return String(value)
  const inner = newline + indent
  const colon = indent === '' ? ':' : ': '
  const parts: string[] = []
  if (Array.isArray(value)) {
    for (const item of value as readonly JsonValue[]) parts.push(inner + write(item, indent, inner))
    return parts.length === 0 ? '[]' : `[${parts.join(',')}${newline}]`
  }
  const entries = value instanceof Map ? value.entries() : Object.entries(value)
  for (const [key, item] of entries as Iterable<[string, JsonValue | undefined]>) {
    if (item !== undefined) parts.push(inner + writeString(key) + colon + write(item, indent, inner))
  }
  return parts.length === 0 ? '{}' : `{${parts.join(',')}${newline}}`
}

/**
 * @param value - numbers must be finite; members that are undefined are left out
 * @param indentSpaces - 0 writes one line, otherwise one member a line, indented by so many spaces
 * @returns the text, without a newline at its end
 */
export function encodeJson(value: JsonValue, indentSpaces = 0): string {
  return indentSpaces === 0 ? write(value, '', '') : write(value, ' '.repeat(indentSpaces), '\n')
}

/** @throws {DecodeError} naming `what` when the text is not JSON */
export function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    const shown = text.length > 60 ? `${text.slice(0, 60)}…` : text
    throw new DecodeError(what, `${JSON.stringify(shown)} is not JSON`, { cause: error })
  }
}

// --- writing ----------------------------------------------------------------------------------------------------------------

function compareBytewise(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** A map with its keys in order, so that two peers write the same text. Order is by UTF-16 unit, which is bytewise for ASCII keys. */
export function mapToJson<T>(record: Readonly<Record<string, T>>, encode: (value: T) => JsonValue): JsonValue {
  const sorted = new Map<string, JsonValue>()
  for (const key of Object.keys(record).sort(compareBytewise)) sorted.set(key, encode(record[key] as T))
  return sorted
}

/** For members that Go leaves out when they are empty. */
export function omitEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text
}

// --- reading ----------------------------------------------------------------------------------------------------------------

export type JsonObject = Readonly<Record<string, unknown>>

function describe(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'an array' : `a ${typeof value}`
}

/** @throws {DecodeError} */
export function readObject(value: unknown, at: string): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject
  throw new DecodeError(at, `expected an object, got ${describe(value)}`)
}

/** Missing or null: `''`. @throws {DecodeError} */
export function readString(object: JsonObject, key: string, at: string): string {
  const value = object[key] ?? ''
  if (typeof value === 'string') return value
  throw new DecodeError(`${at}.${key}`, `expected a string, got ${describe(value)}`)
}

/** Missing or null: 0. @throws {DecodeError} unless it is an integer that a number holds exactly */
export function readInteger(object: JsonObject, key: string, at: string): number {
  const value = object[key] ?? 0
  if (Number.isSafeInteger(value)) return value as number
  throw new DecodeError(
    `${at}.${key}`,
    `expected an integer, got ${typeof value === 'number' ? value : describe(value)}`
  )
}

/** Missing or null: false. @throws {DecodeError} */
export function readBoolean(object: JsonObject, key: string, at: string): boolean {
  const value = object[key] ?? false
  if (typeof value === 'boolean') return value
  throw new DecodeError(`${at}.${key}`, `expected a boolean, got ${describe(value)}`)
}

/** Missing, null or `''`: undefined. `parse` may throw anything; it becomes the cause. @throws {DecodeError} */
export function readOptional<T>(
  object: JsonObject,
  key: string,
  at: string,
  parse: (text: string) => T
): T | undefined {
  const text = readString(object, key, at)
  return text === '' ? undefined : parsed(text, `${at}.${key}`, parse)
}

/** @throws {DecodeError} when it is missing, null or empty, or when `parse` throws */
export function readRequired<T>(object: JsonObject, key: string, at: string, parse: (text: string) => T): T {
  return parsed(readString(object, key, at), `${at}.${key}`, parse)
}

function parsed<T>(text: string, at: string, parse: (text: string) => T): T {
  try {
    return parse(text)
  } catch (error) {
    throw new DecodeError(at, error instanceof Error ? error.message : String(error), { cause: error })
  }
}

/** Missing or null: `[]`. Items are strings. @throws {DecodeError} */
export function readStrings(object: JsonObject, key: string, at: string, parse: (text: string) => string): string[] {
  return readList(object, key, at, (item) => {
    if (typeof item !== 'string') throw new DecodeError(`${at}.${key}`, `expected strings, got ${describe(item)}`)
    return parsed(item, `${at}.${key}`, parse)
  })
}

/** Missing or null: `[]`. @throws {DecodeError} */
export function readList<T>(object: JsonObject, key: string, at: string, decode: (item: unknown) => T): T[] {
  const value = object[key] ?? []
  if (!Array.isArray(value)) throw new DecodeError(`${at}.${key}`, `expected an array, got ${describe(value)}`)
  return value.map(decode)
}

/** Missing or null: `{}`. Safe for every key, `__proto__` too. @throws {DecodeError} */
export function readMap<T>(
  object: JsonObject,
  key: string,
  at: string,
  decode: (value: unknown, key: string) => T
): Record<string, T> {
  const value = readObject(object[key] ?? {}, `${at}.${key}`)
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, decode(item, name)]))
}
