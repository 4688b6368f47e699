/**
 * Watches for another daemon that runs with this peer's identity: whenever a connection opens, the other side is asked whether it
 * has one from us that is not ours (`cluster-host/sessions.ts`). The daemon that started later gives way; the earlier one says
 * what it sees.
 */

import type { Connection } from '@libp2p/interface'
import type { ClusterHost } from '../cluster-host/host.ts'
import type { Sessions } from '../cluster-host/sessions.ts'
import type { Logger } from '../ports.ts'
import type { PeerRpc } from '../rpc/peer-rpc.ts'

const ASK_TIMEOUT_MS = 5_000

export interface TwinWatchComponents {
  readonly libp2p: ClusterHost
  readonly rpc: PeerRpc
  readonly sessions: Sessions
  readonly logger: Logger
}

/** @param onOlderTwin - told where the other daemon is, if it was there first */
export function watchForTwins(
  { libp2p, rpc, sessions, logger }: TwinWatchComponents,
  onOlderTwin: (address: string) => void
): { stop(): void } {
  const stopping = new AbortController()
  const ask = async (peer: string): Promise<void> => {
    try {
      const { twins } = await rpc.call(
        peer,
        'Peer.twins',
        { session: sessions.session },
        { signal: stopping.signal, timeoutMs: ASK_TIMEOUT_MS }
      )
      for (const { session, address } of twins) {
        if (session < sessions.session) onOlderTwin(address)
        else
          logger.error(
            { address },
            'another daemon with the identity of this peer was started there; it should stop by itself'
          )
      }
    } catch (error) {
      logger.debug({ peer, error: String(error) }, 'cannot ask a peer for twins')
    }
  }
  const onOpen = ({ detail }: CustomEvent<Connection>): void => void ask(detail.remotePeer.toString())
  libp2p.addEventListener('connection:open', onOpen)
  for (const peer of libp2p.getPeers()) void ask(peer.toString())
  return {
    stop() {
      stopping.abort()
      libp2p.removeEventListener('connection:open', onOpen)
    }
  }
}
