/**
 * The HTTP contract of a Quorate peer: its routes, the objects that travel over them and their JSON, and what can go wrong. The
 * server and the client are both written against it.
 *
 * @packageDocumentation
 */

export * from './add-codec.ts'
export { addOptionsQuery, defaultAddOptions, readAddOptions, writeAddOptions } from './add-options.ts'
export * from './durations.ts'
export * from './error-codes.ts'
export * from './errors.ts'
export * from './identifiers.ts'
export { type Codec, DecodeError, encodeJson, type JsonValue, parseJson } from './json.ts'
export * from './ndjson.ts'
export * from './peer-codec.ts'
export { pinCodec } from './pin-codec.ts'
export { defaultPinOptions, pinOptionsQuery, readPinOptions, writePinOptions } from './pin-options.ts'
export type { QueryCodec } from './query.ts'
export * from './raft-codec.ts'
export * from './routes.ts'
export * from './status.ts'
export * from './status-codec.ts'
export * from './times.ts'
export type * from './types.ts'
