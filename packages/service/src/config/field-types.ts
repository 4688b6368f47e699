/**
 * The kinds of value that `service.json` holds, as makers of {@link Field}s: durations, numbers, texts, lists, addresses, sizes, maps.
 * Called by the tables in `sections/`.
 *
 * In the environment a list is separated by commas and a map is `k:v,k2:v2`; booleans and integers are read as Go's `strconv` does.
 */

import { isAbsolute, join } from 'node:path'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { formatDuration, parseDuration } from '@quorate/client/api'
import { z } from 'zod'
import type { Field, FieldContext, FieldOptions, JsonObject, JsonValue } from './field.ts'

const isEmptyText = (value: JsonValue) => value === ''
const never = () => false
const asIs = (text: string): JsonValue => text

/** A Go duration, in milliseconds. An empty text is the default. */
export function duration(
  fallback: string,
  meaning: string,
  { zero = false, minMs, ...options }: FieldOptions & { readonly zero?: boolean; readonly minMs?: number } = {}
): Field<number> {
  const limit = minMs === undefined ? (zero ? '0s or more' : 'more than 0s') : `${formatDuration(minMs)} or more`
  const schema = z.string().transform((text, context) => {
    let reason: string | undefined
    try {
      const value = parseDuration(text)
      if (value >= (minMs ?? 0) && (zero || value > 0)) return value
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error)
    }
    context.addIssue({ code: 'custom', ...(reason === undefined ? {} : { message: reason }) })
    return z.NEVER
  })
  return {
    kind: 'field',
    schema,
    fromText: asIs,
    fallback,
    allowed: `a duration such as "1m30s" or "200ms", ${limit}`,
    meaning,
    isAbsent: isEmptyText,
    options
  }
}

/** A whole number within bounds. */
export function integer(
  fallback: number,
  meaning: string,
  {
    min = Number.MIN_SAFE_INTEGER,
    max = Number.MAX_SAFE_INTEGER,
    zeroIsDefault = false,
    ...options
  }: FieldOptions & { readonly min?: number; readonly max?: number; readonly zeroIsDefault?: boolean } = {}
): Field<number> {
  const bounds = [
    ...(min === Number.MIN_SAFE_INTEGER ? [] : [`${min} or more`]),
    ...(max === Number.MAX_SAFE_INTEGER ? [] : [`at most ${max}`])
  ]
  return {
    kind: 'field',
    schema: z.int().min(min).max(max),
    fromText: (text) => (/^[+-]?\d+$/.test(text) || /^0x[\da-f]+$/i.test(text) ? Number(text) : text),
    fallback,
    allowed: ['a whole number', ...bounds].join(', '),
    meaning,
    isAbsent: zeroIsDefault ? (value) => value === 0 : never,
    options
  }
}

/** A number from 0 to 1. */
export function fraction(fallback: number, meaning: string, options: FieldOptions = {}): Field<number> {
  return {
    kind: 'field',
    schema: z.number().min(0).max(1),
    fromText: (text) => (text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : text),
    fallback,
    allowed: 'a number from 0 to 1',
    meaning,
    isAbsent: never,
    options
  }
}

const truths: ReadonlyMap<string, boolean> = new Map([
  ...['1', 't', 'T', 'TRUE', 'true', 'True'].map((text) => [text, true] as const),
  ...['0', 'f', 'F', 'FALSE', 'false', 'False'].map((text) => [text, false] as const)
])

export function boolean(fallback: boolean, meaning: string, options: FieldOptions = {}): Field<boolean> {
  return {
    kind: 'field',
    schema: z.boolean(),
    fromText: (text) => truths.get(text) ?? text,
    fallback,
    allowed: 'true or false',
    meaning,
    isAbsent: never,
    options
  }
}

export function text(
  fallback: string | (() => string),
  meaning: string,
  options: FieldOptions & { readonly emptyIsDefault?: boolean } = {}
): Field<string> {
  const isAbsent = options.emptyIsDefault === true ? isEmptyText : never
  return { kind: 'field', schema: z.string(), fromText: asIs, fallback, allowed: 'a text', meaning, isAbsent, options }
}

/** One of a few words. */
export function choice<const Word extends string>(
  words: readonly [Word, ...Word[]],
  fallback: Word,
  meaning: string,
  options: FieldOptions = {}
): Field<Word> {
  const allowed = words.map((word) => `"${word}"`).join(' or ')
  return {
    kind: 'field',
    schema: z.enum(words),
    fromText: asIs,
    fallback,
    allowed,
    meaning,
    isAbsent: isEmptyText,
    options
  }
}

/** A file or folder; a relative one lies in the configuration folder. Undefined when empty. */
export function path(fallback: string, meaning: string, options: FieldOptions = {}): Field<string | undefined> {
  return {
    kind: 'field',
    schema: z.string().transform((value): string | undefined => value),
    fromText: asIs,
    fallback,
    allowed: 'a path, relative to the configuration folder or absolute',
    meaning,
    isAbsent: isEmptyText,
    finish: (value, context) => (value === undefined || value === '' ? undefined : inFolder(value, context)),
    options
  }
}

/** Like {@link path}, of a file that there always is. */
export function requiredPath(fallback: string, meaning: string, options: FieldOptions = {}): Field<string> {
  return { ...text(fallback, meaning, { ...options, emptyIsDefault: true }), allowed: 'a path', finish: inFolder }
}

function inFolder(value: string, { folder }: FieldContext): string {
  return isAbsolute(value) ? value : join(folder, value)
}

const splitList = (text: string): JsonValue => (text === '' ? [] : text.split(',').map((item) => item.trim()))

/** A list of texts. */
export function texts(
  fallback: string[],
  meaning: string,
  { nonEmpty = false, ...options }: FieldOptions & { readonly nonEmpty?: boolean } = {}
): Field<readonly string[]> {
  return {
    kind: 'field',
    schema: z
      .array(z.string())
      .min(nonEmpty ? 1 : 0)
      .readonly(),
    fromText: splitList,
    fallback,
    allowed: nonEmpty ? 'a list of texts, not empty' : 'a list of texts',
    meaning,
    isAbsent: never,
    options
  }
}

const peerIdText = z.string().superRefine((value, context) => {
  try {
    peerIdFromString(value)
  } catch {
    context.addIssue({ code: 'custom', message: `${JSON.stringify(value)} is not one` })
  }
})

/** Peer IDs. IPFS Cluster drops what it cannot read; a member that is left out of the first peerset by a slip would cost the quorum. */
export function peerIds(fallback: string[], meaning: string, options: FieldOptions = {}): Field<readonly string[]> {
  return {
    ...texts(fallback, meaning, options),
    schema: z.array(peerIdText).readonly(),
    allowed: 'a list of peer IDs'
  }
}

const addressText = z.string().superRefine((value, context) => {
  const fault = multiaddrFault(value)
  if (fault !== undefined) context.addIssue({ code: 'custom', message: fault })
})

/** Why a text is not a multiaddress; undefined if it is one. */
export function multiaddrFault(value: string): string | undefined {
  // The library reads the path of /unix/ as further protocols; the rest of such an address is a path and anything goes.
  if (/^\/unix\/./.test(value)) return undefined
  try {
    multiaddr(value)
    return value === '/' || value === '' ? 'it is empty' : undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** One multiaddress. */
export function address(fallback: string, meaning: string, options: FieldOptions = {}): Field<string> {
  return {
    kind: 'field',
    schema: addressText,
    fromText: asIs,
    fallback,
    allowed: 'a multiaddress',
    meaning,
    isAbsent: isEmptyText,
    options
  }
}

/** Multiaddresses, in the file a list or, for one, a bare text. */
export function addresses(
  fallback: string[],
  meaning: string,
  { nonEmpty = false, ...options }: FieldOptions & { readonly nonEmpty?: boolean } = {}
): Field<readonly string[]> {
  const list = z.array(addressText).min(nonEmpty ? 1 : 0)
  return {
    kind: 'field',
    schema: z.preprocess((value) => (typeof value === 'string' ? [value] : value), list).readonly(),
    fromText: splitList,
    fallback,
    allowed: `a multiaddress or a list of them${nonEmpty ? ', not empty' : ''}`,
    meaning,
    isAbsent: never,
    options
  }
}

function splitMap(text: string): JsonValue {
  if (text === '') return {}
  const map: JsonObject = {}
  for (const pair of text.split(',')) {
    const at = pair.indexOf(':')
    if (at < 1) return text
    map[pair.slice(0, at).trim()] = pair.slice(at + 1)
  }
  return map
}

/** Texts by name. */
export function textMap(
  fallback: Record<string, string>,
  meaning: string,
  options: FieldOptions = {}
): Field<Readonly<Record<string, string>>> {
  return {
    kind: 'field',
    schema: z.record(z.string(), z.string()).readonly(),
    fromText: splitMap,
    fallback,
    allowed: 'texts by name, {"name": "text"}',
    meaning,
    isAbsent: never,
    options
  }
}

/** User names and passwords; undefined when there are none, which is another thing than an empty list. */
export function credentials(
  meaning: string,
  options: FieldOptions = {}
): Field<Readonly<Record<string, string>> | undefined> {
  return {
    kind: 'field',
    schema: z
      .record(z.string(), z.string())
      .refine((users) => Object.keys(users).length > 0)
      .nullable()
      .transform((users) => users ?? undefined),
    fromText: splitMap,
    fallback: null,
    allowed: 'null, or passwords by user name, {"user": "password"}, at least one',
    meaning,
    isAbsent: never,
    options: { ...options, secret: true }
  }
}

/** Lists of texts by name: the extra headers of HTTP answers. Cannot be written in the environment. */
export function textListMap(
  meaning: string,
  options: FieldOptions = {}
): Field<Readonly<Record<string, readonly string[]>>> {
  return {
    kind: 'field',
    schema: z.record(z.string(), z.array(z.string()).readonly()).readonly(),
    fromText: asIs,
    fallback: {},
    allowed: 'lists of texts by name, {"name": ["text"]}',
    meaning,
    isAbsent: never,
    options: { ...options, fileOnly: true }
  }
}

const sizeUnits: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['B', 1],
  ['KB', 1e3],
  ['MB', 1e6],
  ['GB', 1e9],
  ['TB', 1e12],
  ['KIB', 2 ** 10],
  ['MIB', 2 ** 20],
  ['GIB', 2 ** 30],
  ['TIB', 2 ** 40]
])

/** Reads `10GB`, `512 MiB`, `1000`; undefined if it is no size of at least one byte. */
export function parseSize(value: string | number): number | undefined {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(String(value).trim()) ?? []
  const factor = sizeUnits.get((unit ?? '').toUpperCase())
  if (digits === undefined || factor === undefined) return undefined
  const bytes = Math.floor(Number(digits) * factor)
  return bytes >= 1 && Number.isSafeInteger(bytes) ? bytes : undefined
}

/** A size in bytes, written as Kubo writes `StorageMax`. */
export function size(fallback: string, meaning: string, options: FieldOptions = {}): Field<number> {
  const schema = z.union([z.string(), z.number()]).transform((value, context) => {
    const bytes = parseSize(value)
    if (bytes !== undefined) return bytes
    context.addIssue({ code: 'custom' })
    return z.NEVER
  })
  return {
    kind: 'field',
    schema,
    fromText: asIs,
    fallback,
    allowed: 'a size such as "10GB" or "512MiB", or a number of bytes, at least 1',
    meaning,
    isAbsent: isEmptyText,
    options
  }
}

/** A key of 32 bytes in hexadecimal; undefined when empty. */
export function hexKey(meaning: string, options: FieldOptions = {}): Field<Uint8Array | undefined> {
  return {
    kind: 'field',
    schema: z
      .string()
      .regex(/^(?:[\da-fA-F]{64})?$/)
      .transform((hex) => (hex === '' ? undefined : Uint8Array.from(Buffer.from(hex, 'hex')))),
    fromText: asIs,
    fallback: '',
    allowed: '32 bytes in hexadecimal (64 digits), or empty for a network that is open to all',
    meaning,
    isAbsent: never,
    options: { ...options, secret: true }
  }
}
