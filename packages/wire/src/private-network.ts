/**
 * The private network of a cluster: only peers with its secret can connect. A greeting comes first, which tells a wrong secret
 * from a broken network; then the connection is sealed with the secret (`sealed-connection.ts`).
 *
 * A pre-shared key alone fails badly: two peers with different keys see noise, and report a timeout or an oversized message. So
 * each side first sends 44 bytes in the clear:
 *
 * | bytes | what |
 * | --- | --- |
 * | 4 | `QRT1` |
 * | 24 | a fresh nonce |
 * | 16 | HMAC-SHA-256(secret, nonce), cut; zeros where there is no secret |
 *
 * The tag shows that the sender knows the secret, reveals nothing of a secret of 32 random bytes, and is of no use elsewhere: it
 * authenticates nothing, the handshake inside does. Given to libp2p as its connection protector by whoever makes the host.
 */

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { AbortOptions, ConnectionProtector, MessageStream, MultiaddrConnection } from '@libp2p/interface'
import { byteStream } from '@libp2p/utils'
import { SealedConnection } from './sealed-connection.ts'

const MAGIC = Buffer.from('QRT1')
const NONCE_BYTES = 24
const TAG_BYTES = 16
const GREETING_BYTES = MAGIC.length + NONCE_BYTES + TAG_BYTES
const GREETING_TIMEOUT_MS = 5_000

export type SecretProblem = 'different-secret' | 'we-have-none' | 'they-have-none' | 'not-quorate'

const explanations: Record<SecretProblem, string> = {
  'different-secret': 'its cluster.secret differs from ours',
  'we-have-none': 'it uses a cluster.secret and ours is empty',
  'they-have-none': 'its cluster.secret is empty and ours is not',
  'not-quorate': 'what answers there is not a Quorate peer'
}

/** The other side of a connection does not share our secret. */
export class SecretMismatchError extends Error {
  static override readonly name = 'SecretMismatchError'
  override readonly name = 'SecretMismatchError'
  readonly code: SecretProblem
  readonly address: string

  constructor(code: SecretProblem, address: string) {
    super(`Cannot connect with the peer at ${address}: ${explanations[code]}`)
    this.code = code
    this.address = address
  }
}

export interface SecretProtectorInit {
  /** 32 bytes, or undefined for a cluster without a private network. */
  readonly secret: Uint8Array | undefined
  /** Told of every connection that fails for this reason, on both sides. */
  readonly onMismatch: (error: SecretMismatchError) => void
  /** The other side has this long to greet, and to agree on keys. @default 5000 */
  readonly greetingTimeoutMs?: number
}

const tagOf = (secret: Uint8Array | undefined, nonce: Uint8Array): Buffer =>
  secret === undefined
    ? Buffer.alloc(TAG_BYTES)
    : createHmac('sha256', secret).update('quorate greeting').update(nonce).digest().subarray(0, TAG_BYTES)

/** What is wrong with the greeting of the other side; undefined if nothing is. */
function judge(greeting: Buffer, secret: Uint8Array | undefined): SecretProblem | undefined {
  if (!greeting.subarray(0, MAGIC.length).equals(MAGIC)) return 'not-quorate'
  const nonce = greeting.subarray(MAGIC.length, MAGIC.length + NONCE_BYTES)
  const tag = greeting.subarray(MAGIC.length + NONCE_BYTES)
  if (timingSafeEqual(tag, tagOf(secret, nonce))) return undefined
  if (secret === undefined) return 'we-have-none'
  return tag.equals(Buffer.alloc(TAG_BYTES)) ? 'they-have-none' : 'different-secret'
}

/** libp2p's connection protector of the cluster network. */
export function secretProtector(init: SecretProtectorInit): () => ConnectionProtector {
  const { secret, onMismatch, greetingTimeoutMs = GREETING_TIMEOUT_MS } = init
  const protect = async (connection: MessageStream, options?: AbortOptions): Promise<MessageStream> => {
    const timeout = AbortSignal.timeout(greetingTimeoutMs)
    const signal = options?.signal === undefined ? timeout : AbortSignal.any([timeout, options.signal])
    const ourNonce = randomBytes(NONCE_BYTES)
    const bytes = byteStream(connection)
    const [greeting] = await Promise.all([
      bytes.read({ bytes: GREETING_BYTES, signal }),
      bytes.write(Buffer.concat([MAGIC, ourNonce, tagOf(secret, ourNonce)]), { signal })
    ])
    bytes.unwrap()
    const theirs = Buffer.from(greeting.subarray())
    const theirNonce = theirs.subarray(MAGIC.length, MAGIC.length + NONCE_BYTES)
    // Whoever only echoes what he hears does not know the secret.
    const problem = theirNonce.equals(ourNonce) ? 'not-quorate' : judge(theirs, secret)
    const inner = connection as MultiaddrConnection
    if (problem !== undefined) {
      const error = new SecretMismatchError(problem, inner.remoteAddr.toString())
      onMismatch(error)
      throw error
    }
    return secret === undefined ? connection : new SealedConnection(inner, { secret, ourNonce, theirNonce })
  }
  return () => ({ protect })
}
