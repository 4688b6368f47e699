/**
 * The options of `/add` in a query string: those of a pin, and how the content is cut, hashed and laid out. Unknown parameters are passed
 * over, since clients of IPFS Cluster send some that no peer knows.
 */

import { BadRequestError } from './errors.ts'
import { defaultPinOptions, readPinOptions, writePinOptions } from './pin-options.ts'
import { booleanParameter, integerParameter, type QueryCodec, textParameter } from './query.ts'
import type { AddOptions } from './types.ts'

/** What a request without any parameter means. */
export const defaultAddOptions: AddOptions = {
  ...defaultPinOptions,
  layout: 'balanced',
  chunker: 'size-262144',
  hash: 'sha2-256',
  format: 'unixfs',
  local: false,
  recursive: false,
  hidden: false,
  wrapWithDirectory: false,
  shard: false,
  progress: false,
  cidVersion: 0,
  rawLeaves: false,
  streamChannels: true,
  nocopy: false,
  noPin: false
}

/** Boolean parameters by the option they set; `raw-leaves` stands apart because its default depends on another. */
const booleans = {
  local: 'local',
  recursive: 'recursive',
  hidden: 'hidden',
  'wrap-with-directory': 'wrapWithDirectory',
  shard: 'shard',
  progress: 'progress',
  'stream-channels': 'streamChannels',
  nocopy: 'nocopy',
  'no-pin': 'noPin'
} as const

/** @throws {BadRequestError} `parameter <name> …` unless the value is one of these */
function choice<T extends string>(query: URLSearchParams, name: string, choices: readonly T[], fallback: T): T {
  const text = textParameter(query, name)
  if (text === '') return fallback
  const chosen = choices.find((known) => known === text)
  if (chosen !== undefined) return chosen
  throw new BadRequestError(
    `${name} parameter is invalid: ${JSON.stringify(text.slice(0, 80))} is none of ${choices.join(', ')}`
  )
}

/**
 * Whether the chunker and the hash exist is found out by the importer.
 *
 * @param nowMs - what `expire-in` counts from. @default Date.now()
 * @throws {BadRequestError} for the first parameter that cannot be understood
 */
export function readAddOptions(query: URLSearchParams, nowMs = Date.now()): AddOptions {
  const cidVersion = integerParameter(query, 'cid-version', 0)
  if (cidVersion !== 0 && cidVersion !== 1) {
    throw new BadRequestError(`parameter cid-version invalid: ${cidVersion} is neither 0 nor 1`)
  }
  const flags = { ...defaultAddOptions } as Record<(typeof booleans)[keyof typeof booleans], boolean>
  for (const [name, option] of Object.entries(booleans)) {
    flags[option] = booleanParameter(query, name, defaultAddOptions[option])
  }
  return {
    ...(flags as AddOptions),
    ...readPinOptions(query, nowMs),
    // Added content is pinned whole, and pinned as itself.
    mode: 'recursive',
    pinUpdate: undefined,
    layout: choice(query, 'layout', ['balanced', 'trickle'], 'balanced'),
    chunker: textParameter(query, 'chunker') || defaultAddOptions.chunker,
    hash: (textParameter(query, 'hash') || defaultAddOptions.hash).toLowerCase(),
    format: choice(query, 'format', ['unixfs', 'car'], 'unixfs'),
    cidVersion,
    rawLeaves: booleanParameter(query, 'raw-leaves', cidVersion > 0)
  }
}

/** Writes what {@link readAddOptions} reads; options at their default are left out, but for `raw-leaves` and `stream-channels`. */
export function writeAddOptions(options: AddOptions): URLSearchParams {
  const query = writePinOptions(options)
  query.delete('pin-update')
  query.delete('mode')
  for (const option of ['layout', 'chunker', 'hash', 'format'] as const) {
    if (options[option] !== defaultAddOptions[option]) query.set(option, options[option])
  }
  for (const [name, option] of Object.entries(booleans)) {
    if (option === 'streamChannels' || options[option] !== defaultAddOptions[option])
      query.set(name, String(options[option]))
  }
  if (options.cidVersion !== 0) query.set('cid-version', String(options.cidVersion))
  query.set('raw-leaves', String(options.rawLeaves))
  return query
}

export const addOptionsQuery: QueryCodec<AddOptions> = {
  read: (query) => readAddOptions(query),
  write: writeAddOptions
}
