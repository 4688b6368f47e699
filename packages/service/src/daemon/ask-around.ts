/**
 * Before a peer forms a cluster it asks the peers of its peerstore and of `init_peerset` whether they have one: a folder that was emptied
 * by hand looks like a new one. A voter without its data must not vote as the one that it was (T34), and a peer that was meant to join
 * must not stand alone.
 *
 * That this peer took part once is believed of any of them, leader or no leader: coming back under a new name is safe whether it is
 * true or not. Peers that are out of reach, or are forming a cluster themselves, have no say; the wait for them is short. Whoever is met
 * later knows this peer by what it promised (`PeersSeen` of `@quorate/raft`).
 */

import { setTimeout as delay } from 'node:timers/promises'
import type { Network } from './network.ts'

const WAIT_MS = 1_500
const ANSWER_TIMEOUT_MS = 3_000
const LOOK_INTERVAL_MS = 50

/** What speaks against forming a cluster. */
export type Objection =
  /** This peer took part in a cluster, and has no data of it: it is to come back there. */
  | { readonly type: 'returns'; readonly clusterId: string; readonly why: string }
  | { readonly type: 'refuse'; readonly reason: string }

/**
 * @param wanted - peers to ask; none: there is nobody to ask
 * @param alone - whether the cluster to form is of this peer alone
 * @returns undefined: go on
 */
export async function askAround(
  network: Network,
  wanted: readonly string[],
  alone: boolean,
  signal: AbortSignal
): Promise<Objection | undefined> {
  const asked = new Set<string>()
  const answers: Promise<Objection | undefined>[] = []
  const endMs = performance.now() + WAIT_MS
  const others = new Set(wanted.filter((id) => id !== network.id))
  while (performance.now() < endMs && asked.size < others.size) {
    for (const peer of others) {
      if (asked.has(peer) || !network.connected().has(peer)) continue
      asked.add(peer)
      answers.push(ask(network, peer, alone, signal))
    }
    if (asked.size === others.size) break
    await delay(LOOK_INTERVAL_MS, undefined, { signal })
  }
  const objections = (await Promise.all(answers)).filter((objection) => objection !== undefined)
  return objections.find(({ type }) => type === 'returns') ?? objections[0]
}

async function ask(
  network: Network,
  peer: string,
  alone: boolean,
  signal: AbortSignal
): Promise<Objection | undefined> {
  const answer = await network.rpc
    .call(peer, 'Cluster.membership', null, { signal, timeoutMs: ANSWER_TIMEOUT_MS })
    .catch(() => undefined)
  if (answer === undefined) return undefined
  if (answer.member && answer.tookPart) {
    return {
      type: 'returns',
      clusterId: answer.clusterId,
      why: `peer ${peer} says that this peer takes part in cluster ${answer.clusterId}, and there is no data of it in the folder`
    }
  }
  if (answer.confirmed && !answer.member && alone) {
    return {
      type: 'refuse',
      reason:
        `peer ${peer}, of the peerstore, belongs to cluster ${answer.clusterId} and this peer does not. It forms no cluster of its own beside it. ` +
        'Start it with --bootstrap <multiaddr of a member> to join, or empty the peerstore to start anew.'
    }
  }
  return undefined
}
