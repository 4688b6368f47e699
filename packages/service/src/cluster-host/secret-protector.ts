/**
 * The private network of a cluster: libp2p's pre-shared key (`@libp2p/pnet`), with a greeting before it that tells a wrong key
 * from a broken network.
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
 * The tag shows that the sender knows the secret, reveals nothing of a secret of 32 random bytes, and is of no use elsewhere:
 * it authenticates nothing, the encryption after it does. Used by `host.ts` as libp2p's connection protector.
 */

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { AbortOptions, ConnectionProtector, MessageStream, MultiaddrConnection } from '@libp2p/interface'
import { preSharedKey } from '@libp2p/pnet'
import { byteStream } from '@libp2p/utils'

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

/** The key file that `@libp2p/pnet` reads. */
const keyFile = (secret: Uint8Array): Uint8Array =>
  Buffer.from(`/key/swarm/psk/1.0.0/\n/base16/\n${Buffer.from(secret).toString('hex')}`)

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
  return () => {
    const inner = init.secret === undefined ? undefined : preSharedKey({ psk: keyFile(init.secret) })()
    return {
      async protect(connection: MessageStream, options?: AbortOptions): Promise<MessageStream> {
        const timeout = AbortSignal.timeout(init.greetingTimeoutMs ?? GREETING_TIMEOUT_MS)
        const signal = options?.signal === undefined ? timeout : AbortSignal.any([timeout, options.signal])
        const nonce = randomBytes(NONCE_BYTES)
        const bytes = byteStream(connection)
        const [theirs] = await Promise.all([
          bytes.read({ bytes: GREETING_BYTES, signal }),
          bytes.write(Buffer.concat([MAGIC, nonce, tagOf(init.secret, nonce)]), { signal })
        ])
        bytes.unwrap()
        const problem = judge(Buffer.from(theirs.subarray()), init.secret)
        if (problem !== undefined) {
          const error = new SecretMismatchError(problem, (connection as MultiaddrConnection).remoteAddr.toString())
          init.onMismatch(error)
          throw error
        }
        return inner === undefined ? connection : await inner.protect(connection as MultiaddrConnection, { signal })
      }
    }
  }
}
