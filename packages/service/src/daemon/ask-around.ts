/**
 * Before a peer forms a cluster it asks the peers of its peerstore whether they have one: a folder that was emptied by hand looks like
 * a new one. A voter without its data must not vote as the one that it was, and a peer that was meant to join must not stand alone.
 *
 * Peers that are out of reach, or are forming a cluster themselves, have no say; the wait for them is short.
 */

import { setTimeout as delay } from 'node:timers/promises'
import type { Network } from './network.ts'

const WAIT_MS = 1_500
const ANSWER_TIMEOUT_MS = 3_000
const LOOK_INTERVAL_MS = 50

/**
 * @param wanted - peers of the peerstore; none: there is nobody to ask
 * @param alone - whether the cluster to form is of this peer alone
 * @returns why no cluster may be formed; undefined: go on
 */
export async function askAround(
  network: Network,
  wanted: readonly string[],
  alone: boolean,
  signal: AbortSignal
): Promise<string | undefined> {
  const asked = new Set<string>()
  const answers: Promise<string | undefined>[] = []
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
  return (await Promise.all(answers)).find((reason) => reason !== undefined)
}

async function ask(network: Network, peer: string, alone: boolean, signal: AbortSignal): Promise<string | undefined> {
  const answer = await network.rpc
    .call(peer, 'Cluster.membership', null, { signal, timeoutMs: ANSWER_TIMEOUT_MS })
    .catch(() => undefined)
  if (answer?.confirmed !== true) return undefined
  const advice = 'Start it with --bootstrap <multiaddr of a member>'
  // The record of a member is written when it takes part for the first time.
  const tookPart = answer.peers.some(({ id, addresses }) => id === network.id && addresses.length > 0)
  if (answer.member && tookPart) {
    return (
      `peer ${peer} says that this peer is a member of cluster ${answer.clusterId}, and there is no data of it in the folder. ` +
      `It does not vote without its data. ${advice}: it learns the state anew.`
    )
  }
  if (!answer.member && alone) {
    return (
      `peer ${peer}, of the peerstore, belongs to cluster ${answer.clusterId} and this peer does not. It forms no cluster of its own beside it. ` +
      `${advice} to join, or empty the peerstore to start anew.`
    )
  }
  return undefined
}
