/**
 * Results as text, in the layouts of `ipfs-cluster-ctl`, which scripts cut apart. Every function returns lines without a newline at their end.
 */

import {
  type AddedOutput,
  formatTime,
  type GlobalPinInfo,
  type GlobalRepoGc,
  type PeerInfo,
  type Pin,
  type RaftLeader,
  type RaftPeer
} from '@quorate/client'

/** Bytewise for ASCII, as Go sorts strings. */
function sorted(items: Iterable<string>): string[] {
  return [...items].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
}

/** A peer's answer may hold anything, and a terminal obeys control characters. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) => `\\x${(character.codePointAt(0) ?? 0).toString(16).padStart(2, '0')}`)
}

export function layoutPeer(peer: PeerInfo): string {
  if (peer.error !== '') return `${peer.id} | ERROR: ${printable(peer.error)}`
  const others = Math.max(0, peer.clusterPeers.length - 1)
  const lines = [`${peer.id} | ${printable(peer.peername)} | Sees ${others} other peers`, '  > Addresses:']
  for (const address of sorted(peer.addresses)) lines.push(`    - ${address}`)
  if (peer.ipfs.error !== '') lines.push(`  > IPFS ERROR: ${printable(peer.ipfs.error)}`)
  else {
    lines.push(`  > IPFS: ${peer.ipfs.id ?? ''}`)
    for (const address of sorted(peer.ipfs.addresses)) lines.push(`    - ${address}`)
  }
  return lines.join('\n')
}

/** One block a member: itself, then on the leader a line for each that follows it. */
export function layoutRaftPeer(peer: RaftPeer): string {
  const voice = peer.voice === '' ? 'no member' : peer.voice
  if (peer.error !== '') return `${peer.id} | ${voice} | ERROR: ${printable(peer.error)}`
  const lines = [
    [
      peer.id,
      printable(peer.peername),
      peer.role === 'leader' ? 'LEADER' : peer.role,
      voice,
      `Term: ${peer.term}`,
      `Log: ${peer.baseIndex + 1}--${peer.lastIndex}`,
      `Committed: ${peer.commitIndex}`,
      `Applied: ${peer.appliedIndex}`
    ].join(' | ')
  ]
  if (peer.role !== 'leader') lines.push(`  > Leader: ${peer.leader ?? 'none'}`)
  if (peer.outgoing.length > 0) lines.push(`  > The membership changes: from ${sorted(peer.outgoing).join(' ')}`)
  if (peer.followers.length > 0) lines.push('  > Followers:')
  for (const { id, state, matchIndex, inflightMessages, lastContactMs } of peer.followers) {
    const heard = lastContactMs === undefined ? 'not heard' : `heard ${lastContactMs} ms ago`
    const behind = Math.max(0, peer.lastIndex - matchIndex)
    lines.push(`    - ${id} | ${state} | ${behind} behind | ${inflightMessages} in flight | ${heard}`)
  }
  for (const note of peer.notes) lines.push(`  > ${printable(note)}`)
  return lines.join('\n')
}

export function layoutRaftLeader({ leader }: RaftLeader): string {
  return `${leader} leads`
}

export function layoutStatus(info: GlobalPinInfo): string {
  const lines = [`${info.cid}${info.name === '' ? '' : ` | ${printable(info.name)}`}:`]
  for (const peer of sorted(Object.keys(info.peerMap))) {
    const copy = info.peerMap[peer]
    if (copy === undefined) continue
    const label = printable(copy.peername || peer).padEnd(20)
    const error = copy.error === '' ? '' : `: ${printable(copy.error)}`
    lines.push(
      `    > ${label} : ${copy.status.toUpperCase()}${error} | ${formatTime(copy.timestampMs)} | ` +
        `Attempts: ${copy.attemptCount} | Priority: ${copy.priorityPin}`
    )
  }
  return lines.join('\n')
}

/** `YYYY-MM-DD HH:MM:SS` in UTC. */
function layoutTime(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19).replace('T', ' ')
}

export function layoutPin(pin: Pin): string {
  const everywhere = pin.replicationFactorMin < 0 && pin.replicationFactorMax < 0
  const depth = pin.maxDepth < 0 ? 'Recursive' : pin.maxDepth === 0 ? 'Direct' : `Recursive-${pin.maxDepth}`
  return [
    pin.cid,
    printable(pin.name),
    pin.type.toUpperCase() + (pin.mode === 'direct' ? '-DIRECT' : ''),
    `Repl. Factor: ${everywhere ? '-1' : `${pin.replicationFactorMin}--${pin.replicationFactorMax}`}`,
    `Allocations: ${everywhere ? '[everywhere]' : `[${sorted(pin.allocations).join(' ')}]`}`,
    depth,
    `Metadata: ${Object.keys(pin.metadata).length === 0 ? 'no' : 'yes'}`,
    `Exp: ${pin.expireAtMs === undefined ? '∞' : layoutTime(pin.expireAtMs)}`,
    `Added: ${pin.timestampMs === 0 ? 'unknown' : layoutTime(pin.timestampMs)}`
  ].join(' | ')
}

export function layoutAdded(output: AddedOutput): string {
  return `added ${output.cid ?? ''} ${printable(output.name)}`
}

export function layoutRepoGc(gc: GlobalRepoGc): string {
  const lines: string[] = []
  for (const peer of sorted(Object.keys(gc.peerMap))) {
    const result = gc.peerMap[peer]
    if (result === undefined) continue
    const label = printable(result.peername || peer).padEnd(15)
    lines.push(result.error === '' ? label : `${label} | ERROR: ${printable(result.error)}`, '  > CIDs:')
    for (const { key, error } of result.keys) lines.push(`    - ${error === '' ? key : `ERROR: ${printable(error)}`}`)
  }
  return lines.join('\n')
}
