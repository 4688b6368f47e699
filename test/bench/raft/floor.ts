/**
 * What one commit at a time costs at the least in Node: three processes that do nothing but what no consensus can leave out. One sends 320 bytes
 * to two others over plain TCP, all three append them to a file opened with O_DSYNC, the two answer with 40 bytes, and the next round begins
 * when two of the three have them on disk. No enciphering, no framing, no consensus. `commits.ts` prints it beside its own figure.
 *
 *   node --conditions=quorate-source test/bench/raft/floor.ts [--rounds=5000]
 */

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:fs'
import { type FileHandle, mkdir, mkdtemp, open, rm } from 'node:fs/promises'
import { createConnection, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { printMachine } from '../support/machine.ts'
import { quantile } from '../support/statistics.ts'
import type { Figure } from './loads.ts'

/** An entry of 256 bytes with what a log and a message add to it. */
const MESSAGE_BYTES = 320
const ANSWER_BYTES = 40
/** Rounds that are not counted: code is compiled as it runs. */
const WARM_UP_SHARE = 0.5

const DSYNC_APPEND = constants.O_CREAT | constants.O_WRONLY | constants.O_APPEND | constants.O_DSYNC

export interface FloorInit {
  readonly folder: string
  readonly rounds: number
}

/** @returns as those of one proposal at a time */
export async function runFloor({ folder, rounds }: FloorInit): Promise<Figure> {
  await mkdir(folder, { recursive: true })
  const log = await open(join(folder, 'leader.log'), DSYNC_APPEND)
  const children: ChildProcess[] = []
  const sockets: Socket[] = []
  try {
    for (const name of ['second', 'third']) {
      const child = fork(fileURLToPath(import.meta.url), ['--follow', join(folder, `${name}.log`)])
      children.push(child)
      const [port] = (await once(child, 'message')) as [number]
      const socket = createConnection({ host: '127.0.0.1', port, noDelay: true })
      sockets.push(socket)
      await once(socket, 'connect')
    }
    const warmUp = Math.round(rounds * WARM_UP_SHARE)
    const latenciesMs = (await commitOneByOne(log, sockets, warmUp + rounds)).slice(warmUp)
    const seconds = latenciesMs.reduce((sum, ms) => sum + ms, 0) / 1000
    return {
      load: '1',
      entriesPerSecond: rounds / seconds,
      p50Ms: quantile(latenciesMs, 0.5),
      p99Ms: quantile(latenciesMs, 0.99)
    }
  } finally {
    for (const socket of sockets) socket.destroy()
    for (const child of children) {
      const ended = once(child, 'exit')
      child.kill()
      await ended
    }
    await log.close()
  }
}

/** @returns how long each round took, in ms */
function commitOneByOne(log: FileHandle, sockets: readonly Socket[], rounds: number): Promise<number[]> {
  const message = Buffer.alloc(MESSAGE_BYTES, 1)
  const latenciesMs: number[] = []
  /** How many messages each of the three has on disk, this process first. */
  const durable = [0, ...sockets.map(() => 0)]
  return new Promise((resolve, reject) => {
    let fromMs = 0
    const begin = (): void => {
      fromMs = performance.now()
      for (const socket of sockets) socket.write(message)
      log.write(message).then(() => grew(0, 1), reject)
    }
    const grew = (who: number, by: number): void => {
      const before = committed()
      durable[who]! += by
      if (committed() === before) return
      latenciesMs.push(performance.now() - fromMs)
      if (latenciesMs.length < rounds) begin()
      else resolve(latenciesMs)
    }
    const committed = (): number => durable.toSorted((a, b) => b - a)[1]!
    for (const [n, socket] of sockets.entries()) {
      let bytes = 0
      socket.on('error', reject)
      socket.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        const answers = Math.floor(bytes / ANSWER_BYTES)
        bytes -= answers * ANSWER_BYTES
        if (answers > 0) grew(n + 1, answers)
      })
    }
    begin()
  })
}

/** One of the other two: writes what comes, all that is there at once, and answers each message. Until it is ended. */
async function follow(path: string): Promise<void> {
  const log = await open(path, DSYNC_APPEND)
  const answer = Buffer.alloc(ANSWER_BYTES, 2)
  const server = createServer({ noDelay: true }, (socket) => {
    let waiting: Buffer[] = []
    let rest = 0
    let writing = false
    const write = async (): Promise<void> => {
      if (writing) return
      writing = true
      while (waiting.length > 0) {
        const bytes = Buffer.concat(waiting)
        waiting = []
        await log.write(bytes)
        rest += bytes.length
        const messages = Math.floor(rest / MESSAGE_BYTES)
        rest -= messages * MESSAGE_BYTES
        for (let i = 0; i < messages; i++) socket.write(answer)
      }
      writing = false
    }
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk: Buffer) => {
      waiting.push(chunk)
      void write()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  process.send?.((server.address() as { port: number }).port)
  process.on('disconnect', () => process.exit())
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { follow: { type: 'string' }, rounds: { type: 'string', default: '5000' } } })
  if (values.follow !== undefined) await follow(values.follow)
  else {
    const folder = await mkdtemp(join(tmpdir(), 'quorate-bench-floor-'))
    try {
      await printMachine(folder)
      const { entriesPerSecond, p50Ms, p99Ms } = await runFloor({ folder, rounds: Number(values.rounds) })
      console.log(`${entriesPerSecond.toFixed(0)} rounds/s, p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms`)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }
}
