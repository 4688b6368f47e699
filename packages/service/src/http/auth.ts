/** HTTP basic authentication as IPFS Cluster does it: every path but `/health`, and never a preflight request. */

import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

const REALM = 'Restricted IPFS Cluster API'

/** What to answer instead of the request. */
export interface Denial {
  readonly message: string
  readonly challenge: string
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/**
 * @param credentials - passwords by user; undefined: nobody is asked
 * @param path - without the query
 * @returns undefined if the request may pass
 */
export function authorize(
  credentials: Readonly<Record<string, string>> | undefined,
  request: IncomingMessage,
  path: string
): Denial | undefined {
  if (credentials === undefined || request.method === 'OPTIONS' || (path === '/health' && request.method === 'GET'))
    return undefined
  const challenge = `Basic realm="${REALM}"`
  const header = request.headers.authorization
  if (header === undefined) return { message: 'unauthorized: no auth provided', challenge }
  const basic = /^basic ([a-z0-9+/=]+)$/i.exec(header)
  if (basic !== null) {
    const [user = '', ...rest] = Buffer.from(basic[1]!, 'base64').toString().split(':')
    const password = rest.join(':')
    const expected = Object.hasOwn(credentials, user) ? credentials[user] : undefined
    // Digests have one length, so that the comparison takes one time.
    const matches = timingSafeEqual(digest(password), digest(expected ?? ''))
    if (matches && user !== '' && password !== '' && expected !== undefined) return undefined
  }
  return { message: 'unauthorized: access denied', challenge }
}
