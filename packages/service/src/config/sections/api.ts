/** The `api.*` sections of `service.json`: what a peer serves over HTTP. Read by `schema.ts`; the keys are IPFS Cluster's. */

import type { Values } from '../field.ts'
import {
  address,
  addresses,
  boolean,
  credentials,
  duration,
  integer,
  path,
  text,
  textListMap,
  texts
} from '../field-types.ts'

/** Headers that a page of another origin may read, as IPFS Cluster has them. */
const exposedHeaders = ['Content-Type', 'X-Stream-Output', 'X-Chunked-Output', 'X-Content-Length']

/** The keys that the REST API and the Pinning Services API share; they differ in the port. */
function httpShape(listen: string) {
  return {
    httpListenMultiaddress: addresses([listen], 'Where it listens.'),
    sslCertFile: path('', 'The certificate, in PEM; with `ssl_key_file`, HTTPS is served.', { omit: true }),
    sslKeyFile: path('', 'The private key of the certificate, in PEM.', { omit: true }),
    readTimeoutMs: duration('0s', 'How long reading a request may take; `0s`: no limit.', { zero: true }),
    readHeaderTimeoutMs: duration('5s', 'How long reading the header of a request may take; `0s`: no limit.', {
      zero: true
    }),
    writeTimeoutMs: duration('0s', 'How long an answer may take; `0s`: no limit.', { zero: true }),
    idleTimeoutMs: duration('2m0s', 'How long a connection without a request is kept.', { zero: true }),
    maxHeaderBytes: integer(4096, 'Most bytes of the header of a request.', { min: 4096 }),
    libp2pListenMultiaddress: addresses([], 'HTTP over libp2p.', { inert: true }),
    id: text('', 'The identity for HTTP over libp2p.', { inert: true }),
    privateKey: text('', 'The identity for HTTP over libp2p.', { inert: true, secret: true }),
    basicAuthCredentials: credentials('Users and passwords of HTTP basic authentication; null: nobody is asked.'),
    httpLogFile: path('', 'A file for a line about each request.', { omit: true }),
    headers: textListMap('Headers that are added to each answer.'),
    corsAllowedOrigins: texts(['*'], 'Origins whose pages may call.'),
    corsAllowedMethods: texts(['GET'], 'Methods with which they may call.'),
    corsAllowedHeaders: texts([], 'Headers that they may send.'),
    corsExposedHeaders: texts(exposedHeaders, 'Headers that they may read.'),
    corsAllowCredentials: boolean(true, 'Whether they may send credentials.'),
    corsMaxAgeMs: duration('0s', 'How long a browser may remember these answers.', { zero: true })
  } as const
}

export const restapiShape = httpShape('/ip4/127.0.0.1/tcp/9094')
export const pinsvcapiShape = httpShape('/ip4/127.0.0.1/tcp/9097')

export const ipfsproxyShape = {
  listenMultiaddress: addresses(['/ip4/127.0.0.1/tcp/9095'], 'Where it listens.'),
  nodeMultiaddress: address('/ip4/127.0.0.1/tcp/5001', 'The RPC API of Kubo behind it.'),
  nodeHttps: boolean(false, 'Speak HTTPS to Kubo.', { omit: true }),
  logFile: path('', 'A file for a line about each request.', { omit: true }),
  readTimeoutMs: duration('0s', 'How long reading a request may take; `0s`: no limit.', { zero: true }),
  readHeaderTimeoutMs: duration('5s', 'How long reading the header of a request may take; `0s`: no limit.', {
    zero: true
  }),
  writeTimeoutMs: duration('0s', 'How long an answer may take; `0s`: no limit.', { zero: true }),
  idleTimeoutMs: duration('1m0s', 'How long a connection without a request is kept.', { zero: true }),
  maxHeaderBytes: integer(4096, 'Most bytes of the header of a request.', { min: 4096 }),
  extractHeadersExtra: texts([], 'Further headers taken over from Kubo.', { omit: true }),
  extractHeadersPath: text('/api/v0/version', 'Where they are asked for.', { omit: true }),
  extractHeadersTtlMs: duration('5m0s', 'How long they are remembered; `0s`: for ever.', { zero: true, omit: true })
} as const

/** `api.restapi` or `api.pinsvcapi`, read. Times in milliseconds, files absolute or undefined. */
export type HttpApiSection = Values<typeof restapiShape>
/** `api.ipfsproxy`, read. */
export type IpfsProxySection = Values<typeof ipfsproxyShape>

/** What must hold between keys. */
export function httpRules(api: HttpApiSection): readonly { readonly key: string; readonly reason: string }[] {
  if ((api.sslCertFile === undefined) === (api.sslKeyFile === undefined)) return []
  const [missing, given] =
    api.sslCertFile === undefined ? ['ssl_cert_file', 'ssl_key_file'] : ['ssl_key_file', 'ssl_cert_file']
  return [{ key: missing, reason: `it is missing, while ${given} is given; HTTPS needs both` }]
}
