/**
 * `IpfsConnector` on an IPFS node of our own, which runs in a worker thread so that hashing, disk and block exchange never delay a heartbeat
 * of the consensus. This is the main thread's end: it starts the worker, passes calls on, and starts it again when it has died.
 * Made by the composition root; step 9 of `life-of-a-pin.md`.
 */

import { Worker } from 'node:worker_threads'
import type { CidString, IpfsId, MultiaddrString, PeerIdString, PinMode } from '@quorate/client/api'
import type {
  AbortOptions,
  IpfsBlock,
  IpfsConnector,
  IpfsPinOptions,
  Logger,
  PinProgress,
  RepoStat
} from '../../ports.ts'
import { IpfsUnavailableError } from '../errors.ts'
import { Caller, type CallOptions, type Message } from './channel.ts'
import type { EmbeddedNodeInit } from './init.ts'
import type { WorkerEvent } from './worker.ts'

export interface EmbeddedConnectorInit extends EmbeddedNodeInit {
  readonly logger: Logger
}

const FIRST_RESTART_PAUSE_MS = 500
const LONGEST_RESTART_PAUSE_MS = 30_000
/** A worker that ran so long is not one that dies at once. */
const STEADY_AFTER_MS = 60_000
/**
 * Blocks pass through buffers that live for milliseconds. With V8's default of 16 MB it collects garbage at every third block or so, and a transfer
 * takes half as long again.
 */
const YOUNG_GENERATION_MB = 64
/** How long a worker may take to stop in order; then it is ended. What is pinned is on disk in either case. */
const STOP_TIMEOUT_MS = 5000

/**
 * The embedded node. `start` resolves when it listens (within a second), and rejects with `IpfsUnavailableError` when it cannot: the folder
 * is in use, the address is taken.
 */
export function createEmbeddedConnector(init: EmbeddedConnectorInit): IpfsConnector {
  return new EmbeddedConnector(init)
}

/** A thread that is up. */
interface Running {
  readonly worker: Worker
  readonly caller: Caller
  readonly sinceMs: number
  /** Resolves when the thread has ended, however. */
  readonly ended: Promise<void>
}

class EmbeddedConnector implements IpfsConnector {
  readonly #init: EmbeddedNodeInit
  readonly #logger: Logger
  #running: Running | undefined
  #stopping = false
  #restart: NodeJS.Timeout | undefined
  #restartPauseMs = FIRST_RESTART_PAUSE_MS
  #lastFailure = 'it has not been started'
  #swarm: readonly MultiaddrString[] | undefined

  constructor({ logger, ...init }: EmbeddedConnectorInit) {
    this.#init = init
    this.#logger = logger
  }

  // --- life -----------------------------------------------------------------------------------------------------------------

  async start(): Promise<void> {
    if (this.#running !== undefined) return
    this.#stopping = false
    await this.#launch()
  }

  async stop(): Promise<void> {
    this.#stopping = true
    clearTimeout(this.#restart)
    const running = this.#running
    this.#running = undefined
    this.#lastFailure = 'it has been stopped'
    if (running === undefined) return
    running.worker.postMessage({ type: 'stop' })
    const timeout = setTimeout(() => {
      void running.worker.terminate()
    }, STOP_TIMEOUT_MS)
    await running.ended
    clearTimeout(timeout)
  }

  async #launch(): Promise<void> {
    // From source this file and the worker are .ts, built they are .js.
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
    const worker = new Worker(new URL(`./worker.${extension}`, import.meta.url), {
      name: 'quorate-ipfs',
      workerData: this.#init,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
      stdout: false,
      stderr: false
    })
    const caller = new Caller(worker)
    await new Promise<void>((resolve, reject) => {
      let ready = false
      let cause = 'its thread has ended'
      let markEnded = (): void => undefined
      const running: Running = {
        worker,
        caller,
        sinceMs: performance.now(),
        ended: new Promise((ended) => {
          markEnded = ended
        })
      }
      worker.on('message', (message: Message | WorkerEvent) => {
        if (message.type === 'log') this.#logger[message.level](message.fields, message.message)
        else if (message.type === 'ready') {
          ready = true
          if (this.#stopping) worker.postMessage({ type: 'stop' })
          this.#running = running
          resolve()
        } else if (message.type === 'failed') cause = message.error.message
        // Nothing is left to do in there, but timers of its libraries would keep the thread for another second.
        else if (message.type === 'stopped') void worker.terminate()
        else caller.receive(message)
      })
      worker.on('error', (error) => {
        cause = error.message
      })
      worker.on('exit', () => {
        markEnded()
        this.#lastFailure = cause
        const failure = new IpfsUnavailableError(`the embedded IPFS node is not running: ${cause}`)
        caller.failAll(failure)
        if (this.#running === running) this.#running = undefined
        if (!ready)
          reject(new IpfsUnavailableError(`cannot start the embedded IPFS node in ${this.#init.folder}: ${cause}`))
        else if (!this.#stopping) this.#onCrash(running, cause)
      })
    })
  }

  #onCrash(running: Running, cause: string): void {
    if (performance.now() - running.sinceMs >= STEADY_AFTER_MS) this.#restartPauseMs = FIRST_RESTART_PAUSE_MS
    this.#logger.error(
      { error: cause, restartInMs: this.#restartPauseMs },
      'the embedded IPFS node has died and is started again'
    )
    this.#scheduleRestart()
  }

  #scheduleRestart(): void {
    const pauseMs = this.#restartPauseMs
    this.#restartPauseMs = Math.min(pauseMs * 2, LONGEST_RESTART_PAUSE_MS)
    this.#restart = setTimeout(() => {
      this.#launch().then(
        () => {
          this.#logger.info('the embedded IPFS node runs again')
          if (this.#swarm !== undefined) this.connectSwarm(this.#swarm).catch(() => undefined)
        },
        (error: Error) => {
          if (this.#stopping) return
          this.#logger.error(
            { error: error.message, restartInMs: this.#restartPauseMs },
            'the embedded IPFS node does not start'
          )
          this.#scheduleRestart()
        }
      )
    }, pauseMs)
  }

  get #caller(): Caller {
    if (this.#running === undefined)
      throw new IpfsUnavailableError(`the embedded IPFS node is not running: ${this.#lastFailure}`)
    return this.#running.caller
  }

  async #call(method: string, args: readonly unknown[], options?: CallOptions): Promise<unknown> {
    return this.#caller.call(method, args, options).result
  }

  // --- calls: the results are of the types that `worker.ts` answers with ----------------------------------------------------

  async id(options?: AbortOptions): Promise<IpfsId> {
    return (await this.#call('id', [], options)) as IpfsId
  }

  async pin(cid: CidString, options: IpfsPinOptions): Promise<void> {
    const { onProgress } = options
    await this.#call('pin', [cid, { mode: options.mode, origins: options.origins }], {
      signal: options.signal,
      onProgress: onProgress === undefined ? undefined : (value) => onProgress(value as PinProgress)
    })
  }

  async unpin(cid: CidString, options?: AbortOptions): Promise<void> {
    await this.#call('unpin', [cid], options)
  }

  async *pinLs(options?: AbortOptions): AsyncIterable<{ cid: CidString; mode: PinMode }> {
    yield* this.#caller.stream('pinLs', [], options) as AsyncIterable<{ cid: CidString; mode: PinMode }>
  }

  async pinLsCid(cid: CidString, options?: AbortOptions): Promise<PinMode | undefined> {
    return (await this.#call('pinLsCid', [cid], options)) as PinMode | undefined
  }

  async resolve(path: string, options?: AbortOptions): Promise<CidString> {
    return (await this.#call('resolve', [path], options)) as CidString
  }

  async putBlocks(blocks: AsyncIterable<IpfsBlock>, options?: AbortOptions): Promise<{ release(): void }> {
    const caller = this.#caller
    const { id, result } = caller.call('putBlocks', [], { signal: options?.signal, upload: blocks })
    const release = () => caller.tell('release', [id])
    try {
      await result
    } catch (error) {
      // The worker may have finished just before it heard of the abort.
      release()
      throw error
    }
    return { release }
  }

  async getBlock(cid: CidString, options?: AbortOptions): Promise<Uint8Array> {
    return (await this.#call('getBlock', [cid], options)) as Uint8Array
  }

  async *cat(cid: CidString, options?: AbortOptions): AsyncIterable<Uint8Array> {
    yield* this.#caller.stream('cat', [cid], options) as AsyncIterable<Uint8Array>
  }

  async *repoGc(options?: AbortOptions): AsyncIterable<{ cid: CidString }> {
    yield* this.#caller.stream('repoGc', [], options) as AsyncIterable<{ cid: CidString }>
  }

  async repoStat(options?: AbortOptions): Promise<RepoStat> {
    return (await this.#call('repoStat', [], options)) as RepoStat
  }

  async swarmPeers(options?: AbortOptions): Promise<readonly PeerIdString[]> {
    return (await this.#call('swarmPeers', [], options)) as readonly PeerIdString[]
  }

  async connectSwarm(addresses: readonly MultiaddrString[], options?: AbortOptions): Promise<void> {
    this.#swarm = addresses
    await this.#call('connectSwarm', [addresses], options)
  }
}
