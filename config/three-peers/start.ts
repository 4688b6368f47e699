/**
 * `npm start`: a cluster of three peers on this machine, each with an embedded IPFS node, to look at and play with. Adds this
 * project's README through the first peer, shows it pinned on all three, and stays up until Ctrl-C.
 *
 * The data is in `.quorate-demo` in the checkout and is there again at the next start. The peers speak with each other over
 * loopback only. Usual ports are used when they are free, others when they are not.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const data = process.env.QUORATE_DEMO_PATH ?? join(root, '.quorate-demo')
const programs = join(root, 'packages/checkout')
const READY = '** Quorate is READY **'
const READY_TIMEOUT_MS = 60_000
const PINNED_TIMEOUT_MS = 60_000

interface DemoPeer {
  readonly name: string
  readonly folder: string
  readonly logFile: string
  readonly apiPort: number
  readonly swarmPort: number
  readonly ipfsPort: number
  /** Known once the folder is initialised. */
  id: string
  child: ChildProcess | undefined
}

const taken = new Set<number>()

/** The usual port, or one that is free. */
async function choosePort(usual: number): Promise<number> {
  for (const port of [usual, 0]) {
    const server = createServer()
    const listening = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false))
      server.listen(port, '127.0.0.1', () => resolve(true))
    })
    if (!listening) continue
    const { port: found } = server.address() as { port: number }
    server.close()
    await once(server, 'close')
    if (taken.has(found)) continue
    taken.add(found)
    return found
  }
  throw new Error(`No free port could be found in place of ${usual}`)
}

const program = (name: 'service' | 'ctl'): string[] => ['--conditions=quorate-source', join(programs, `${name}.mjs`)]

function environment(peer: DemoPeer, peers: readonly DemoPeer[]): NodeJS.ProcessEnv {
  const others = peers.filter((other) => other !== peer && other.id !== '')
  return {
    ...process.env,
    CLUSTER_PEERNAME: peer.name,
    CLUSTER_MDNSINTERVAL: '0s',
    CLUSTER_LISTENMULTIADDRESS: `/ip4/127.0.0.1/tcp/${peer.swarmPort}`,
    CLUSTER_RESTAPI_HTTPLISTENMULTIADDRESS: `/ip4/127.0.0.1/tcp/${peer.apiPort}`,
    CLUSTER_EMBEDDED_NETWORK: 'private',
    CLUSTER_EMBEDDED_LISTENMULTIADDRESS: `/ip4/127.0.0.1/tcp/${peer.ipfsPort}`,
    // Ports may have changed since the last start.
    CLUSTER_PEERADDRESSES: others.map(addressOf).join(',')
  }
}

const addressOf = (peer: DemoPeer): string => `/ip4/127.0.0.1/tcp/${peer.swarmPort}/p2p/${peer.id}`

/** Runs a command to its end and gives back what it printed. @throws {Error} when it fails */
async function output(
  name: 'service' | 'ctl',
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env
): Promise<string> {
  const child = spawn(process.execPath, [...program(name), ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part
  })
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    text += part
  })
  await once(child, 'close')
  if (child.exitCode !== 0) throw new Error(`${name} ${args.join(' ')} ended with exit code ${child.exitCode}: ${text}`)
  return text
}

async function initialise(peer: DemoPeer, peers: readonly DemoPeer[], secret: string | undefined): Promise<void> {
  if (!existsSync(join(peer.folder, 'service.json'))) {
    mkdirSync(peer.folder, { recursive: true, mode: 0o700 })
    const env = environment(peer, peers)
    if (secret !== undefined) env.CLUSTER_SECRET = secret
    delete env.CLUSTER_PEERADDRESSES
    await output('service', ['--config', peer.folder, 'init'], env)
  }
  peer.id = (JSON.parse(readFileSync(join(peer.folder, 'identity.json'), 'utf8')) as { id: string }).id
}

const secretOf = (peer: DemoPeer): string =>
  (JSON.parse(readFileSync(join(peer.folder, 'service.json'), 'utf8')) as { cluster: { secret: string } }).cluster
    .secret

/** Starts the daemon in a process group of its own, so that Ctrl-C reaches it through us, once. */
function startDaemon(peer: DemoPeer, peers: readonly DemoPeer[], args: readonly string[]): void {
  const log = openSync(peer.logFile, 'w', 0o600)
  peer.child = spawn(process.execPath, [...program('service'), '--config', peer.folder, 'daemon', ...args], {
    env: environment(peer, peers),
    stdio: ['ignore', log, log],
    detached: true
  })
  closeSync(log)
}

async function waitReady(peer: DemoPeer): Promise<void> {
  const endMs = performance.now() + READY_TIMEOUT_MS
  while (!readFileSync(peer.logFile, 'utf8').includes(READY)) {
    if (peer.child?.exitCode !== null || performance.now() > endMs) {
      throw new Error(
        `${peer.name} did not become ready. Its log, ${peer.logFile}:\n${readFileSync(peer.logFile, 'utf8')}`
      )
    }
    await delay(50)
  }
}

/** Resolves when the daemon has ended, or the signal aborts. */
async function exited({ child }: DemoPeer, signal: AbortSignal): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
  await once(child, 'exit', { signal }).catch(() => undefined)
}

async function stopAll(peers: readonly DemoPeer[]): Promise<void> {
  await Promise.all(
    peers.map(async ({ child }) => {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
    })
  )
}

/** What to type, with the host where it is not the usual one. */
const typed = (peer: DemoPeer, command: string): string =>
  peer.apiPort === 9094 ? `npx ctl ${command}` : `npx ctl --host /ip4/127.0.0.1/tcp/${peer.apiPort} ${command}`

async function showFile(peers: readonly DemoPeer[]): Promise<void> {
  const first = peers[0]!
  const host = ['--host', `/ip4/127.0.0.1/tcp/${first.apiPort}`]
  console.log('\nAdding README.md through peer1:')
  const added = await output('ctl', [...host, 'add', '--name', 'README.md', join(root, 'README.md')])
  process.stdout.write(added)
  const cid = /added (\S+)/.exec(added)?.[1]
  if (cid === undefined) throw new Error(`ctl add did not say what it added: ${added}`)
  const endMs = performance.now() + PINNED_TIMEOUT_MS
  let status = ''
  while (status.split('PINNED').length - 1 < peers.length) {
    if (performance.now() > endMs) throw new Error(`README.md is not pinned on all peers: ${status}`)
    status = await output('ctl', [...host, 'status', cid])
  }
  process.stdout.write(status)
  console.log(`
Three peers are up. Try, in another terminal:

  ${typed(first, 'peers ls')}
  ${typed(first, `status ${cid}`)}
  ${typed(first, 'add <file>')}
  ${typed(first, 'pin ls')}
  ${typed(first, `pin rm ${cid}`)}

REST API: ${peers.map((peer) => `http://127.0.0.1:${peer.apiPort}`).join(', ')}
Data:     ${data}  (remove it to start anew)
Logs:     ${peers.map((peer) => peer.logFile).join(', ')}

Ctrl-C stops the peers; the data stays.`)
}

async function main(): Promise<void> {
  const stopping = new AbortController()
  const peers: DemoPeer[] = []
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => stopping.abort())
  try {
    for (const at of [0, 1, 2]) {
      const folder = join(data, `peer${at + 1}`)
      peers.push({
        name: `peer${at + 1}`,
        folder,
        logFile: join(folder, 'daemon.log'),
        apiPort: await choosePort(9094 + 100 * at),
        swarmPort: await choosePort(9096 + 100 * at),
        ipfsPort: await choosePort(4001 + 100 * at),
        id: '',
        child: undefined
      })
    }
    const first = peers[0]!
    await initialise(first, peers, undefined)
    for (const peer of peers.slice(1)) await initialise(peer, peers, secretOf(first))

    const isMember = (peer: DemoPeer): boolean => existsSync(join(peer.folder, 'membership.json'))
    console.log(isMember(first) ? 'Starting the three peers of the last time …' : 'Starting three peers …')
    for (const peer of peers.filter(isMember)) startDaemon(peer, peers, [])
    if (!isMember(first)) startDaemon(first, peers, [])
    await waitReady(first)
    for (const peer of peers.filter((peer) => peer.child === undefined)) {
      startDaemon(peer, peers, ['--bootstrap', addressOf(first)])
      await waitReady(peer)
    }
    await Promise.all(peers.map(waitReady))
    if (!stopping.signal.aborted) await showFile(peers)
    // A peer that is ended, by hand say, is nothing that the other two could not do without.
    const ended = peers.map(async (peer) => {
      await exited(peer, stopping.signal)
      if (!stopping.signal.aborted)
        console.log(`\n${peer.name} has ended; its log is ${peer.logFile}. The next npm start starts it again.`)
    })
    await Promise.all(ended)
    if (!stopping.signal.aborted) throw new Error('All peers have ended.')
  } catch (error) {
    if (!stopping.signal.aborted) {
      console.error(error instanceof Error ? error.message : String(error))
      process.exitCode = 1
    }
  } finally {
    if (stopping.signal.aborted) console.log('\nStopping the peers …')
    await stopAll(peers)
  }
}

await main()
