/**
 * Lets a benchmark see into a peer that runs as its users start it, and fill its pinset faster than over HTTP: loaded before the program
 * (`--import`), it answers on the port of loopback that `QUORATE_BENCH_PROBE` names. `test/bench/peers/snapshot.ts` starts peers so.
 *
 * | request | answer |
 * | --- | --- |
 * | `POST /pins?from=0&count=1000` | proposes so many pins of content that another peer, which is not there, is to hold; once they are committed |
 * | `POST /memory` | what its process holds, as `process.memoryUsage` says, of the main thread alone |
 * | `POST /loop` | since the last such request, in ms: the longest time that the event loop was late, and the most processor time that its thread spent in such a time, so that waiting for a processor can be told from work |
 */

import { createServer } from 'node:http'
import { setImmediate } from 'node:timers/promises'
import type { Pin } from '@quorate/client/api'
import type { Raft } from '@quorate/raft'
import { RaftConsensus } from '../../src/consensus/raft-consensus.ts'
import { encodeOperation } from '../../src/state/ops.ts'
import { testPin } from '../state/fixtures.ts'

/** A peer that never was. */
const STRANGER = '12D3KooWCryG7Mon9orvQxcS1rYZjotPgpwoJNHHKcLLfE4Hf5mV'
/** Pins of one proposal: what takes a few milliseconds to make, since the peer that does is to go on leading. Proposals under way. */
const BATCH_PINS = 128
const BATCHES = 8
/** How often it is looked whether the event loop is on time. */
const LOOP_MS = 5

let raft: Pick<Raft<unknown>, 'proposeMany'> | undefined

// Every peer asks its consensus for the members all the time.
const { peers } = RaftConsensus.prototype
RaftConsensus.prototype.peers = function (this: RaftConsensus) {
  raft ??= (this as unknown as { components: { raft: Raft<unknown> } }).components.raft
  return peers.call(this)
}

const pinOf = (n: number): Pin =>
  testPin(n, { name: `pin-${n}`, replicationFactorMin: 1, replicationFactorMax: 1, allocations: [STRANGER] })

async function proposePins(from: number, count: number): Promise<void> {
  let next = from
  const worker = async (): Promise<void> => {
    while (next < from + count) {
      const first = next
      next = Math.min(first + BATCH_PINS, from + count)
      const commands = Array.from({ length: next - first }, (_, n) =>
        encodeOperation({ kind: 'pin', pin: pinOf(first + n) })
      )
      await raft!.proposeMany(commands)
      await setImmediate()
    }
  }
  await Promise.all(Array.from({ length: BATCHES }, worker))
}

function threadCpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

let longestMs = 0
let longestCpuMs = 0
let lastMs = performance.now()
let lastCpuMs = threadCpuMs()
setInterval(() => {
  const [nowMs, cpuMs] = [performance.now(), threadCpuMs()]
  longestMs = Math.max(longestMs, nowMs - lastMs - LOOP_MS)
  longestCpuMs = Math.max(longestCpuMs, cpuMs - lastCpuMs)
  ;[lastMs, lastCpuMs] = [nowMs, cpuMs]
}, LOOP_MS).unref()

async function answer(method: string | undefined, url: URL): Promise<unknown> {
  switch (`${method} ${url.pathname}`) {
    case 'POST /pins':
      await proposePins(Number(url.searchParams.get('from')), Number(url.searchParams.get('count')))
      return {}
    case 'POST /memory':
      return process.memoryUsage()
    case 'POST /loop': {
      const longest = { longestMs, longestCpuMs }
      longestMs = 0
      longestCpuMs = 0
      return longest
    }
    default:
      throw new Error(`there is no ${method} ${url.pathname}`)
  }
}

const port = process.env.QUORATE_BENCH_PROBE
if (port !== undefined) {
  const server = createServer((request, response) => {
    answer(request.method, new URL(request.url ?? '/', 'http://127.0.0.1')).then(
      (body) => response.end(JSON.stringify(body)),
      (error: unknown) => response.writeHead(500).end(String(error))
    )
  })
  server.listen(Number(port), '127.0.0.1').unref()
}
