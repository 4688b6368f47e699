/**
 * One key of `service.json`: how it is read from JSON and from the environment, its default, and what the manual says of it.
 * The tables in `sections/` are made of these, and everything else follows from the tables: the types (`Values`), the checks
 * (`parse.ts`), the environment (`environment.ts`), what `init` writes (`document.ts`) and `docs/configuration.md`.
 *
 * Names in the tables are ours (`dialPeerTimeoutMs`); the key in the file is IPFS Cluster's (`dial_peer_timeout`) and the variable is
 * IPFS Cluster's too (`CLUSTER_DIALPEERTIMEOUT`). Both are derived from our name, see {@link jsonKey} and {@link environmentKey}.
 */

import type { z } from 'zod'

export type JsonValue = null | boolean | number | string | JsonValue[] | { [key: string]: JsonValue }
export type JsonObject = { [key: string]: JsonValue }

/** What is known when a value is read, beyond the value. */
export interface FieldContext {
  /** The configuration folder, absolute: relative paths in the file are relative to it. */
  readonly folder: string
}

export interface Field<Value> {
  readonly kind: 'field'
  /** From the JSON value to ours. */
  readonly schema: z.ZodType<Value>
  /** From the text of a variable to the JSON value. Text that does not fit is passed on as it is, for the schema to refuse. */
  readonly fromText: (text: string) => JsonValue
  /** The default, as JSON; taken also when the key is absent, null or an empty string where that is no value. */
  readonly fallback: JsonValue | (() => JsonValue)
  /** What is allowed, as the end of "it must be …". */
  readonly allowed: string
  /** For the manual. */
  readonly meaning: string
  /** Which JSON values stand for the default beside null. */
  readonly isAbsent: (value: JsonValue) => boolean
  /** Applied last; places relative paths in the folder. */
  finish?(value: Value, context: FieldContext): Value
  readonly options: FieldOptions
}

/** What a key is besides its type. */
export interface FieldOptions {
  /** The key in the file where it does not follow from our name. */
  readonly key?: string
  /** Never shown in a message. @default false */
  readonly secret?: boolean
  /** Known to IPFS Cluster, accepted, and without effect here. @default false */
  readonly inert?: boolean
  /** Not written by `init`, since its default suits nearly everybody. @default false */
  readonly omit?: boolean
  /** How the manual words the default. @default its JSON */
  readonly fallbackText?: string
  /** Has no variable in the environment. @default false */
  readonly fileOnly?: boolean
}

/** Keys inside an object of their own, such as `connection_manager`. */
export interface Group<Members extends Shape> {
  readonly kind: 'group'
  readonly members: Members
}

/** The keys of a section, in the order in which they are written. */
export interface Shape {
  readonly [name: string]: Field<unknown> | Group<Shape>
}

/** The values of a section, once read. */
export type Values<S extends Shape> = {
  readonly [Name in keyof S]: S[Name] extends Field<infer Value>
    ? Value
    : S[Name] extends Group<infer Members>
      ? Values<Members>
      : never
}

export function group<Members extends Shape>(members: Members): Group<Members> {
  return { kind: 'group', members }
}

/** `dialPeerTimeoutMs` is `dial_peer_timeout` in the file: snake case, without the unit that our names of durations end in. */
export function jsonKey(name: string, entry: Field<unknown> | Group<Shape>): string {
  if (entry.kind === 'field' && entry.options.key !== undefined) return entry.options.key
  return name.replace(/Ms$/, '').replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

/** `dial_peer_timeout` is `DIALPEERTIMEOUT` in the environment, after the prefix of its section: IPFS Cluster separates no words there. */
export function environmentKey(key: string): string {
  return key.replaceAll('_', '').toUpperCase()
}

export function fallbackOf(field: Field<unknown>): JsonValue {
  return typeof field.fallback === 'function' ? field.fallback() : field.fallback
}
