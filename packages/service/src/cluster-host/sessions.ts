/**
 * Two daemons with one identity, say after a data folder was copied, would be one voter with two minds. Each process therefore
 * has a session, new at each start, and a third peer that is connected with both can tell: it asks every connection of the same
 * peer ID for its session (`/quorate/session/1`, 16 bytes from the side that is asked).
 *
 * A session begins with the time of the start, so that the daemon that came later gives way (`daemon/run.ts`).
 */

import { randomBytes } from 'node:crypto'
import type { Connection, Stream } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { byteStream } from '@libp2p/utils'
import type { ClusterHost } from './host.ts'

export const SESSION_PROTOCOL = '/quorate/session/1'
const SESSION_BYTES = 16
/** A connection whose other end is gone, and not closed yet, does not answer. */
const ASK_TIMEOUT_MS = 1_000

export interface Twin {
  readonly session: string
  readonly address: string
}

/** 8 bytes of start time, then 8 random ones, in hex: sorts by age. */
export function newSession(startedAtMs: number): string {
  const bytes = randomBytes(SESSION_BYTES)
  bytes.writeBigUInt64BE(BigInt(Math.round(startedAtMs)))
  return bytes.toString('hex')
}

export class Sessions {
  readonly session: string
  private readonly libp2p: ClusterHost

  constructor(libp2p: ClusterHost, session: string) {
    this.libp2p = libp2p
    this.session = session
  }

  async start(): Promise<void> {
    await this.libp2p.handle(
      SESSION_PROTOCOL,
      (stream: Stream) => {
        stream.send(Buffer.from(this.session, 'hex'))
        stream.close().catch((error: Error) => stream.abort(error))
      },
      { maxInboundStreams: 8 }
    )
  }

  async stop(): Promise<void> {
    await this.libp2p.unhandle(SESSION_PROTOCOL)
  }

  /** Other live processes that use the identity of `peer`, which itself is `session`. */
  async twinsOf(peer: string, session: string): Promise<readonly Twin[]> {
    const answers = await Promise.all(
      this.libp2p.getConnections(peerIdFromString(peer)).map((connection) => ask(connection))
    )
    const seen = new Map<string, Twin>()
    for (const twin of answers) if (twin !== undefined && twin.session !== session) seen.set(twin.session, twin)
    return [...seen.values()]
  }
}

async function ask(connection: Connection): Promise<Twin | undefined> {
  const signal = AbortSignal.timeout(ASK_TIMEOUT_MS)
  try {
    const stream = await connection.newStream(SESSION_PROTOCOL, { signal, maxOutboundStreams: 8 })
    try {
      const bytes = await byteStream(stream).read({ bytes: SESSION_BYTES, signal })
      return { session: Buffer.from(bytes.subarray()).toString('hex'), address: connection.remoteAddr.toString() }
    } finally {
      stream.close({ signal }).catch((error: Error) => stream.abort(error))
    }
  } catch {
    // A stranger without the protocol, or a connection that is going: no twin either way.
    return undefined
  }
}
