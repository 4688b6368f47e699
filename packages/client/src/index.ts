/**
 * A typed client for the HTTP API of a Quorate peer, for Node and for browsers. The contract itself is `@quorate/client/api`.
 *
 * @packageDocumentation
 */

export * from './api/index.ts'
