/**
 * The worker thread of the embedded node: makes the node from `workerData` and answers the connector's calls. Started by
 * `embedded-connector.ts`, which ends it when it goes. An error that escapes ends the thread; the connector sees that and starts another.
 */

import { parentPort, workerData } from 'node:worker_threads'
import type { CidString, MultiaddrString } from '@quorate/client/api'
import type { IpfsBlock, Logger } from '../../ports.ts'
import { Answerer, type Handler, type Message, toWireError, type WireError } from './channel.ts'
import type { EmbeddedNodeInit } from './init.ts'
import { EmbeddedNode, type NodePinOptions } from './node.ts'

export type WorkerEvent =
  | { readonly type: 'ready' }
  | { readonly type: 'failed'; readonly error: WireError }
  | { readonly type: 'stopped' }
  | { readonly type: 'log'; readonly level: keyof Logger; readonly fields: object; readonly message: string }

if (parentPort === null) throw new Error('this file is the entry of a worker thread')
const port = parentPort

function log(level: keyof Logger) {
  return (fields: object | string, message?: string): void => {
    const event: WorkerEvent =
      typeof fields === 'string'
        ? { type: 'log', level, fields: {}, message: fields }
        : { type: 'log', level, fields, message: message ?? '' }
    port.postMessage(event)
  }
}
const logger: Logger = { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') }

const node = new EmbeddedNode(workerData as EmbeddedNodeInit, logger)

/** The arguments are those that `embedded-connector.ts` sends, and come from no one else. */
const handlers: Readonly<Record<string, Handler>> = {
  id: async () => node.id(),
  pin: ([cid, options], call) => node.pin(cid as CidString, options as NodePinOptions, call.signal, call.progress),
  unpin: ([cid]) => node.unpin(cid as CidString),
  pinLs: () => node.pinLs(),
  pinLsCid: ([cid]) => node.pinLsCid(cid as CidString),
  resolve: ([path], call) => node.resolve(path as string, call.signal),
  putBlocks: (_args, call) => node.putBlocks(call.upload as AsyncIterable<IpfsBlock>, call.id, call.signal),
  release: async ([id]) => node.release(id as number),
  getBlock: ([cid], call) => node.getBlock(cid as CidString, call.signal),
  cat: ([cid], call) => node.cat(cid as CidString, call.signal),
  repoGc: (_args, call) => node.repoGc(call.signal),
  repoStat: async () => node.repoStat(),
  swarmPeers: async () => node.swarmPeers(),
  connectSwarm: ([addresses], call) => node.connectSwarm(addresses as readonly MultiaddrString[], call.signal)
}

const answerer = new Answerer(port, handlers)

async function stop(): Promise<void> {
  answerer.abortAll()
  await node.stop()
  port.postMessage({ type: 'stopped' } satisfies WorkerEvent)
  port.close()
}

port.on('message', (message: Message | { readonly type: 'stop' }) => {
  if (message.type === 'stop') {
    stop().catch((error) => {
      port.postMessage({ type: 'failed', error: toWireError(error) } satisfies WorkerEvent)
      port.close()
    })
  } else answerer.receive(message)
})

try {
  await node.start()
  port.postMessage({ type: 'ready' } satisfies WorkerEvent)
} catch (error) {
  port.postMessage({ type: 'failed', error: toWireError(error) } satisfies WorkerEvent)
  port.close()
}
