/**
 * Single query parameters, read with the errors of IPFS Cluster. An empty parameter counts as absent, because its command line
 * sends many of them empty, and of a repeated one the first counts.
 *
 * Called by the readers of pin and add options and by the routes. Every failure is a {@link BadRequestError}, thrown before
 * anything was done; IPFS Cluster answers 400 and then pins all the same.
 */

import { BadRequestError } from './errors.ts'

/** Reads a query into options and writes them back. `read` throws {@link BadRequestError}. */
export interface QueryCodec<T> {
  read(query: URLSearchParams): T
  write(value: T): URLSearchParams
}

export function textParameter(query: URLSearchParams, name: string): string {
  return query.get(name) ?? ''
}

/** @returns `fallback` when absent. @throws {BadRequestError} unless it is an integer that a number holds exactly */
export function integerParameter(query: URLSearchParams, name: string, fallback: number): number {
  const text = textParameter(query, name)
  if (text === '') return fallback
  const value = /^[-+]?\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(value)) {
    throw new BadRequestError(`parameter ${name} invalid: ${JSON.stringify(text.slice(0, 80))} is not an integer`)
  }
  return value === 0 ? 0 : value
}

const trueWords = ['1', 't', 'T', 'TRUE', 'true', 'True']
const falseWords = ['0', 'f', 'F', 'FALSE', 'false', 'False']

/** Go's spellings of a boolean. @returns `fallback` when absent. @throws {BadRequestError} */
export function booleanParameter(query: URLSearchParams, name: string, fallback: boolean): boolean {
  const text = textParameter(query, name)
  if (text === '') return fallback
  if (trueWords.includes(text)) return true
  if (falseWords.includes(text)) return false
  throw new BadRequestError(`parameter ${name} invalid: ${JSON.stringify(text.slice(0, 80))} is neither true nor false`)
}

/** A comma list; blanks around the items and empty items vanish. `prefix` begins the message. @throws {BadRequestError} */
export function listParameter(
  query: URLSearchParams,
  name: string,
  prefix: string,
  parse: (text: string) => string
): string[] {
  const items = textParameter(query, name).split(',')
  return items
    .map((item) => item.trim())
    .filter((item) => item !== '')
    .map((item) => parseParameter(item, prefix, parse))
}

/** Runs `parse` and turns what it throws into a bad request that begins with `prefix`. @throws {BadRequestError} */
export function parseParameter<T>(text: string, prefix: string, parse: (text: string) => T): T {
  try {
    return parse(text)
  } catch (error) {
    throw new BadRequestError(`${prefix}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
}
