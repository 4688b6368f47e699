/**
 * A typed client for the HTTP API of a Quorate peer, for Node and for browsers. The contract itself is `@quorate/client/api`.
 *
 * @packageDocumentation
 */

export * from './api/index.ts'
export {
  type AbortOptions,
  type AddCallOptions,
  type LocalOptions,
  QuorateClient,
  type QuorateClientInit,
  type StatusAllOptions
} from './client.ts'
export { type ClientOptions, createClient } from './create-client.ts'
export { ClientConfigError } from './endpoint.ts'
export type { AddContent, AddSource } from './multipart.ts'
export { type BodyPart, type Endpoint, RequestTimeoutError, type Transport, TransportError } from './transport.ts'
export * from './wait.ts'
