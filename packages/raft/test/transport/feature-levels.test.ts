/** A rolling upgrade as it happens in earnest: levels in the hello, in segment files and in the base of the log. */

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import type { Raft } from '../../src/api.ts'
import { createHost, newSecret, startNode } from '../support/libp2p-node.ts'
import { RegisterMachine } from '../support/register-machine.ts'
import { until } from '../support/until.ts'

it('two nodes are upgraded one after the other, and cannot be taken back', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'quorate-levels-'))
  const secret = newSecret()
  const hosts = [await createHost({ secret }), await createHost({ secret })] as const
  const machines = [new RegisterMachine(), new RegisterMachine()] as const
  const running = new Map<number, Raft<string>>()
  t.after(async () => {
    await Promise.all([...running.values()].map((raft) => raft.close()))
    await Promise.all(hosts.map((host) => host.stop()))
    await rm(root, { recursive: true })
  })
  for (const [i, host] of hosts.entries()) {
    await host.peerStore.merge(hosts[1 - i]!.peerId, { multiaddrs: hosts[1 - i]!.getMultiaddrs() })
  }
  const voters = hosts.map((host) => host.peerId.toString())
  const run = async (i: 0 | 1, level: number): Promise<Raft<string>> => {
    await running.get(i)?.close()
    running.delete(i)
    const raft = await startNode({
      libp2p: hosts[i],
      folder: join(root, `${i}`),
      stateMachine: machines[i],
      bootstrap: { voters, outgoing: [], learners: [] },
      options: { electionTimeoutMs: 150, heartbeatMs: 30, trailingEntries: 0 },
      supportedLevel: level,
      transport: { featureLevel: level }
    })
    running.set(i, raft)
    return raft
  }
  const first = await run(0, 2)
  const second = await run(1, 1)
  const leads = (raft: Raft<string>): boolean => raft.status().role === 'leader' && raft.status().commitIndex > 0
  await until('one leads', () => leads(first) || leads(second))
  await (leads(first) ? first : second).propose(Buffer.from('x'))
  assert.equal(first.status().level, 1)

  const upgraded = await run(1, 2)
  await until('the level is raised everywhere', () => [first, upgraded].every((raft) => raft.status().level === 2))

  await until('the log begins after the raise', () => {
    const { baseIndex, appliedIndex, commitIndex } = upgraded.status()
    if (baseIndex < appliedIndex) void upgraded.checkpoint().catch(() => {})
    return baseIndex === commitIndex
  })
  assert.equal((await run(1, 2)).status().level, 2)
  await assert.rejects(run(1, 1), { name: 'RaftStartError', code: 'unknown-level', message: /level 2 by entry/ })
})
