/**
 * What a command works with: the client for the peer that the global options name, and the way results are printed.
 */

import { type Codec, createClient, encodeJson, type QuorateClient } from '@quorate/client'
import type { Arguments } from './arguments.ts'
import { defaultHost } from './global-options.ts'
import { CtlError, type Io } from './io.ts'

export interface Context {
  readonly client: QuorateClient
  readonly io: Io
  readonly json: boolean
  readonly signal: AbortSignal
  /** One result: in JSON indented by four spaces, or as `layout` writes it; each with a newline after it. */
  print<T>(codec: Codec<T>, value: T, layout: (value: T) => string): Promise<void>
  warn(message: string): Promise<void>
}

/** Spaces by which IPFS Cluster indents its JSON. */
export const jsonIndentSpaces = 4

/** @throws {CtlError} when a global option makes no sense */
export function createContext(args: Arguments, io: Io): Context {
  const encoding = args.text('encoding')
  if (encoding !== 'text' && encoding !== 'json') {
    throw new CtlError(`option --encoding must be text or json, not ${JSON.stringify(encoding)}`)
  }
  const json = encoding === 'json'
  return {
    client: connect(args, io),
    io,
    json,
    signal: io.signal,
    print: async (codec, value, layout) => {
      await io.writeOut(`${json ? encodeJson(codec.encode(value), jsonIndentSpaces) : layout(value)}\n`)
    },
    warn: (message) => io.writeErr(`warning: ${message}\n`)
  }
}

function connect(args: Arguments, io: Io): QuorateClient {
  const hosts = (args.text('host') || defaultHost).split(',').map((host) => host.trim())
  const urls = hosts.filter((host) => /^https?:\/\//.test(host))
  if (urls.length > 0 && urls.length < hosts.length) {
    throw new CtlError(`option --host mixes URLs and multiaddrs: ${hosts.join(',')}`)
  }
  const seconds = args.integer('timeout')
  if (seconds < 0 || seconds > 2_000_000) {
    throw new CtlError(`option --timeout must be from 0 to 2000000 seconds, not ${seconds}`)
  }
  const basicAuth = args.text('basic-auth') || io.env.CLUSTER_CREDENTIALS || ''
  try {
    return createClient({
      ...(urls.length > 0 ? { baseUrl: urls } : { multiaddr: hosts }),
      ...(basicAuth === '' ? {} : { basicAuth }),
      ...(args.flag('debug') ? { log: (line: string) => void io.writeErr(`${line}\n`).catch(() => {}) } : {}),
      // A password must not travel in the clear unless the user says so.
      https: args.flag('https') || (basicAuth !== '' && !args.flag('force-http')),
      verifyCertificate: !args.flag('no-check-certificate'),
      timeoutMs: seconds * 1000
    })
  } catch (error) {
    throw new CtlError(error instanceof Error ? error.message : String(error), {
      doing: 'parsing --host',
      cause: error
    })
  }
}
