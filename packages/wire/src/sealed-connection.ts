/**
 * A connection under the cluster's secret: every byte that goes through is enciphered with ChaCha20 (RFC 8439, without the tag),
 * each direction with a key of its own that is derived from the secret and the nonces of both sides. It hides the traffic from
 * those without the secret; that it is whole, and whose it is, is proved by the security handshake (Noise) that runs inside.
 *
 * Not `@libp2p/pnet`: its cipher (`xsalsa20` 1.2) keeps one WebAssembly memory for all connections, each of which holds a view of it that
 * the growth by another one invalidates. Two busy connections then make each other grow it without end, and the process dies of it.
 * Made by `private-network.ts`.
 */

import { type Cipheriv, createCipheriv, createHmac } from 'node:crypto'
import type { AbortOptions, MultiaddrConnection } from '@libp2p/interface'
import { AbstractMultiaddrConnection, type SendResult } from '@libp2p/utils'

/** The chunks that a stream of libp2p gathers before it sends them. */
type Chunks = Parameters<AbstractMultiaddrConnection['sendData']>[0]

export interface SealedConnectionInit {
  /** 32 bytes. */
  readonly secret: Uint8Array
  /** Fresh random bytes of this side and of the other, from the greeting. They differ. */
  readonly ourNonce: Uint8Array
  readonly theirNonce: Uint8Array
}

/** Counter and nonce of the cipher, as OpenSSL takes them. Constant, since a key is used for one direction of one connection. */
const INITIAL_VECTOR = Buffer.alloc(16)

function cipherFrom(secret: Uint8Array, senderNonce: Uint8Array, receiverNonce: Uint8Array): Cipheriv {
  const key = createHmac('sha256', secret)
    .update('quorate private network')
    .update(senderNonce)
    .update(receiverNonce)
    .digest()
  return createCipheriv('chacha20', key, INITIAL_VECTOR)
}

export class SealedConnection extends AbstractMultiaddrConnection {
  readonly #inner: MultiaddrConnection
  readonly #outbound: Cipheriv

  constructor(inner: MultiaddrConnection, { secret, ourNonce, theirNonce }: SealedConnectionInit) {
    super({ remoteAddr: inner.remoteAddr, direction: inner.direction, log: inner.log.newScope('sealed') })
    this.#inner = inner
    this.#outbound = cipherFrom(secret, ourNonce, theirNonce)
    const inbound = cipherFrom(secret, theirNonce, ourNonce)
    inner.addEventListener('message', ({ data }) => {
      for (const chunk of data instanceof Uint8Array ? [data] : data) this.onData(inbound.update(chunk))
    })
    inner.addEventListener('drain', () => this.onMuxerDrain())
    inner.addEventListener('close', ({ error, local }) => {
      if (error === undefined || error === null) this.onTransportClosed()
      else if (local === true) this.abort(error)
      else this.onRemoteReset()
    })
  }

  override sendData(data: Chunks): SendResult {
    return { sentBytes: data.byteLength, canSendMore: this.#inner.send(this.#outbound.update(data.subarray())) }
  }

  override sendReset(error: Error): void {
    this.#inner.abort(error)
  }

  override sendPause(): void {
    this.#inner.pause()
  }

  override sendResume(): void {
    this.#inner.resume()
  }

  override async sendClose(options?: AbortOptions): Promise<void> {
    await this.#inner.close(options)
  }
}
