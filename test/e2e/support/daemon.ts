/**
 * Daemons and the client as their users start them: the commands of the checkout, real folders, real ports, on loopback only. Each
 * test owns its daemons and `cleanUp` ends whatever is left, by pid.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createClient, type QuorateClient } from '@quorate/client'

const root = fileURLToPath(new URL('../../..', import.meta.url))
/** A peer writes this when it serves. */
export const READY = '** Quorate is READY **'
const LOOPBACK = '127.0.0.1'

/** The command line of a program of this checkout, or of an installation of the packed packages. */
export interface Programs {
  readonly service: readonly string[]
  readonly ctl: readonly string[]
}

export const checkout: Programs = {
  service: [process.execPath, '--conditions=quorate-source', join(root, 'packages/checkout/service.mjs')],
  ctl: [process.execPath, '--conditions=quorate-source', join(root, 'packages/checkout/ctl.mjs')]
}

export interface Finished {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end. */
export async function run(
  command: readonly string[],
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv; input?: string; timeoutMs?: number } = {}
): Promise<Finished> {
  const child = spawn(command[0]!, [...command.slice(1), ...args], {
    env: { ...process.env, ...options.env },
    stdio: 'pipe',
    timeout: options.timeoutMs ?? 60_000,
    killSignal: 'SIGKILL'
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  child.stdin.on('error', () => undefined)
  child.stdin.end(options.input ?? '')
  await once(child, 'close')
  return { code: child.exitCode, stdout, stderr }
}

/** Resolves when `condition` holds; asks again and again. */
export async function until<T>(
  what: string,
  condition: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = 60_000
): Promise<T> {
  const endMs = performance.now() + timeoutMs
  let last: unknown
  for (;;) {
    try {
      const value = await condition()
      if (value !== undefined && value !== false) return value
    } catch (error) {
      last = error
    }
    if (performance.now() > endMs) {
      throw new Error(
        `Waited ${timeoutMs} ms in vain until ${what}${last === undefined ? '' : `; the last try failed with ${String(last)}`}`
      )
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

export interface DaemonInit {
  readonly name: string
  /** `CLUSTER_*` for `init`, which writes them into the configuration. */
  readonly env?: NodeJS.ProcessEnv
  /** Further words for `init`. */
  readonly initArgs?: readonly string[]
  readonly programs?: Programs
  /** The IPv4 address that all of it listens on. @default '127.0.0.1' */
  readonly host?: string
}

/** One peer: its folder, its identity, and its process when it runs. */
export class Daemon {
  readonly name: string
  readonly folder: string
  readonly id: string
  readonly swarmPort: number
  readonly apiPort: number
  readonly programs: Programs
  readonly host: string
  /** All that the process of the last start wrote. */
  log = ''
  private child: ChildProcess | undefined

  private constructor(init: DaemonInit, folder: string, id: string, swarmPort: number, apiPort: number) {
    this.name = init.name
    this.folder = folder
    this.id = id
    this.swarmPort = swarmPort
    this.apiPort = apiPort
    this.programs = init.programs ?? checkout
    this.host = init.host ?? LOOPBACK
  }

  static async init(init: DaemonInit): Promise<Daemon> {
    const folder = await mkdtemp(join(tmpdir(), 'quorate-e2e-'))
    const swarmPort = await freePort()
    const apiPort = await freePort()
    const host = init.host ?? LOOPBACK
    const { code, stderr } = await run(
      (init.programs ?? checkout).service,
      ['--config', folder, 'init', ...(init.initArgs ?? [])],
      {
        env: {
          CLUSTER_PEERNAME: init.name,
          CLUSTER_MDNSINTERVAL: '0s',
          CLUSTER_LISTENMULTIADDRESS: `/ip4/${host}/tcp/${swarmPort}`,
          CLUSTER_RESTAPI_HTTPLISTENMULTIADDRESS: `/ip4/${host}/tcp/${apiPort}`,
          CLUSTER_EMBEDDED_NETWORK: 'private',
          CLUSTER_EMBEDDED_LISTENMULTIADDRESS: `/ip4/${host}/tcp/0`,
          CLUSTER_MONITORPINGINTERVAL: '2s',
          ...init.env
        }
      }
    )
    if (code !== 0) throw new Error(`init of ${init.name} ended with ${code}: ${stderr}`)
    const { id } = JSON.parse(await readFile(join(folder, 'identity.json'), 'utf8')) as { id: string }
    return new Daemon(init, folder, id, swarmPort, apiPort)
  }

  /** A peer in a folder that was made in another way. The folder goes with the peer. */
  static ofFolder(name: string, folder: string, at: { id: string; swarmPort: number; apiPort: number }): Daemon {
    return new Daemon({ name }, folder, at.id, at.swarmPort, at.apiPort)
  }

  get address(): string {
    return `/ip4/${this.host}/tcp/${this.swarmPort}/p2p/${this.id}`
  }

  get api(): string {
    return `http://${this.host}:${this.apiPort}`
  }

  get client(): QuorateClient {
    return createClient({ baseUrl: this.api, timeoutMs: 60_000 })
  }

  get pid(): number | undefined {
    return this.child?.pid
  }

  /** Starts `daemon` with further words, without waiting for anything. */
  start(args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): this {
    if (this.child !== undefined) throw new Error(`${this.name} runs already`)
    this.log = ''
    const [program, ...words] = this.programs.service
    const child = spawn(program!, [...words, '--config', this.folder, 'daemon', ...args], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe']
    })
    const keep = (text: string): void => {
      this.log += text
    }
    child.stdout.setEncoding('utf8').on('data', keep)
    child.stderr.setEncoding('utf8').on('data', keep)
    child.on('exit', () => {
      if (this.child === child) this.child = undefined
    })
    this.child = child
    return this
  }

  /** Waits until READY stands in the log. */
  async ready(timeoutMs = 60_000): Promise<this> {
    await until(
      `${this.name} is READY`,
      () => {
        if (this.child === undefined) throw new Error(`${this.name} ended: ${this.log}`)
        return this.log.includes(READY)
      },
      timeoutMs
    ).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${this.log}`)
    })
    return this
  }

  /** Waits for the end of the process. @returns its exit code */
  async exited(timeoutMs = 60_000): Promise<number | null> {
    const child = this.child
    if (child === undefined) throw new Error(`${this.name} does not run`)
    const signal = AbortSignal.timeout(timeoutMs)
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit', { signal })
    return child.exitCode
  }

  /** Ends the process with a signal. @returns its exit code */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const child = this.child
    if (child === undefined) return null
    const end = this.exited(20_000)
    child.kill(signal)
    const code = await end
    this.child = undefined
    return code
  }

  /** The exit code and output of `ctl` against this peer. */
  ctl(...args: string[]): Promise<Finished> {
    return run(this.programs.ctl, ['--host', `/ip4/${this.host}/tcp/${this.apiPort}`, ...args])
  }

  async remove(): Promise<void> {
    await this.stop('SIGKILL')
    await rm(this.folder, { recursive: true, force: true })
  }
}

/** Ends and removes daemons, for a test's `after`. */
export async function cleanUp(daemons: readonly Daemon[]): Promise<void> {
  await Promise.all(daemons.map((daemon) => daemon.remove()))
}

/** One secret for the peers of a test. */
export const secret = (): string => Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('hex')

/** `count` peers with one secret, initialised and not started. */
export function initPeers(count: number, init: Partial<DaemonInit> = {}): Promise<readonly Daemon[]> {
  const env = { CLUSTER_SECRET: secret(), ...init.env }
  return Promise.all(Array.from({ length: count }, (_, at) => Daemon.init({ ...init, name: `peer${at + 1}`, env })))
}

/** Three or more peers, the first alone, the others bootstrapped to it one after the other. */
export async function bootstrapCluster(count: number, init: Partial<DaemonInit> = {}): Promise<readonly Daemon[]> {
  const daemons = await initPeers(count, init)
  await daemons[0]!.start().ready()
  for (const daemon of daemons.slice(1)) await daemon.start(['--bootstrap', daemons[0]!.address]).ready()
  return daemons
}
