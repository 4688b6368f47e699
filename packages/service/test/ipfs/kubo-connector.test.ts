/**
 * The Kubo connector: the conformance suite on a real daemon when `KUBO_RPC` names its RPC address, e.g. `/ip4/127.0.0.1/tcp/5001`,
 * and what can be known without one.
 */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, it } from 'node:test'
import { createKuboConnector } from '../../src/ipfs/kubo/kubo-connector.ts'
import type { Logger } from '../../src/ports.ts'
import { collect, randomBlock, streamOf } from './blocks.ts'
import { ipfsConnectorSuite } from './connector-suite.ts'
import { embeddedNode, quiet } from './embedded-node.ts'

const { KUBO_RPC } = process.env

ipfsConnectorSuite('Kubo', {
  skip: KUBO_RPC === undefined ? 'KUBO_RPC does not name the RPC address of a Kubo daemon' : undefined,
  create: async () => {
    const connector = createKuboConnector({ nodeMultiaddress: KUBO_RPC ?? '', logger: quiet })
    await connector.start()
    return { connector, remove: () => connector.stop() }
  },
  createOther: () => embeddedNode()
})

describe('createKuboConnector', () => {
  let server: Server | undefined
  let requests: string[] = []

  afterEach(() => {
    server?.closeAllConnections()
    server?.close()
    server = undefined
    requests = []
  })

  /** A daemon that answers from a table: status and body by command. */
  async function daemon(
    answers: Record<string, { status?: number; body: string; trailer?: string }>,
    socketPath?: string
  ): Promise<string> {
    server = createServer((request, response) => {
      requests.push(request.url ?? '')
      request.resume()
      const command = (request.url ?? '').replace('/api/v0/', '').replace(/\?.*/, '')
      const { status = 200, body, trailer } = answers[command] ?? { status: 404, body: 'no such command' }
      if (trailer !== undefined) response.setHeader('Trailer', 'X-Stream-Error')
      if (body.startsWith('{')) response.setHeader('Content-Type', 'application/json')
      response.writeHead(status)
      response.write(body)
      if (trailer !== undefined) response.addTrailers({ 'X-Stream-Error': trailer })
      request.on('end', () => response.end())
    })
    await new Promise<void>((resolve) => {
      if (socketPath === undefined) server?.listen(0, '127.0.0.1', resolve)
      else server?.listen(socketPath, resolve)
    })
    if (socketPath !== undefined) return `/unix${socketPath}`
    return `/ip4/127.0.0.1/tcp/${(server.address() as AddressInfo).port}`
  }

  const stat = '{"RepoSize":1,"StorageMax":2,"NumObjects":0}'
  const notPinned = { status: 500, body: '{"Message":"path is not pinned","Code":0,"Type":"error"}' }

  it('passes on the message of the daemon', async () => {
    const nodeMultiaddress = await daemon({
      'repo/stat': { status: 500, body: '{"Message":"the disk is on fire","Type":"error"}' }
    })
    const connector = createKuboConnector({ nodeMultiaddress, logger: quiet })
    await assert.rejects(connector.repoStat(), { name: 'IpfsRequestError', message: 'the disk is on fire' })
    await connector.stop()
  })

  it('reports the progress of a pin, and an error that comes after it in the trailer', async () => {
    const nodeMultiaddress = await daemon({
      'pin/ls': notPinned,
      'pin/add': { body: '{"Progress":1}\n{"Progress":1}\n{"Progress":7}\n', trailer: 'block not found' }
    })
    const connector = createKuboConnector({ nodeMultiaddress, logger: quiet })
    const seen: number[] = []
    const onProgress = ({ blocks }: { blocks: number }) => seen.push(blocks)
    await assert.rejects(connector.pin(randomBlock().cid, { mode: 'recursive', onProgress }), {
      name: 'IpfsRequestError',
      message: 'block not found'
    })
    assert.deepEqual(seen, [1, 7])
    await connector.stop()
  })

  it('does not take the part of a file that came before an error for the file', async () => {
    const nodeMultiaddress = await daemon({ cat: { body: 'the first half', trailer: 'block not found' } })
    const connector = createKuboConnector({ nodeMultiaddress, logger: quiet })
    await assert.rejects(collect(connector.cat(randomBlock().cid)), {
      name: 'IpfsRequestError',
      message: 'block not found'
    })
    await connector.stop()
  })

  it('reaches a daemon on a Unix socket, by every kind of call', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'quorate-kubo-'))
    const path = join(folder, 'api.sock')
    await daemon({ 'repo/stat': { body: stat }, cat: { body: 'content' } }, path)
    const connector = createKuboConnector({ nodeMultiaddress: `/unix${path}`, logger: quiet })
    assert.deepEqual(await connector.repoStat(), { repoSizeBytes: 1, storageMaxBytes: 2 })
    assert.equal(Buffer.concat(await collect(connector.cat(randomBlock().cid))).toString(), 'content')
    await connector.stop()
    rmSync(folder, { recursive: true })
  })

  it('ends a call under way when it stops', async () => {
    const nodeMultiaddress = await daemon({})
    const asked = new Promise<void>((resolve) => {
      server?.removeAllListeners('request').on('request', () => resolve())
    })
    const connector = createKuboConnector({ nodeMultiaddress, logger: quiet })
    const waiting = connector.getBlock(randomBlock().cid)
    waiting.catch(() => undefined)
    await asked
    await connector.stop()
    await assert.rejects(waiting, { name: 'IpfsUnavailableError' })
  })

  it('does not take an answer that breaks off for a pin', async () => {
    const nodeMultiaddress = await daemon({ 'pin/ls': notPinned, 'pin/add': { body: '{"Progress":1}\n' } })
    const connector = createKuboConnector({ nodeMultiaddress, logger: quiet })
    await assert.rejects(connector.pin(randomBlock().cid, { mode: 'recursive' }), { name: 'IpfsRequestError' })
    await connector.stop()
  })

  it('does not upload blocks that do not hash to their CIDs', async () => {
    const nodeMultiaddress = await daemon({ 'dag/import': { body: '' } })
    const connector = createKuboConnector({ nodeMultiaddress, logger: quiet })
    const wrong = { cid: randomBlock().cid, bytes: randomBlock().bytes }
    await assert.rejects(connector.putBlocks(streamOf([wrong])), { code: 'corrupt' })
    await connector.stop()
  })

  it('refuses to unpin when that is disallowed', async () => {
    const connector = createKuboConnector({ nodeMultiaddress: await daemon({}), logger: quiet, unpinDisable: true })
    await assert.rejects(connector.unpin(randomBlock().cid), { message: /disallowed by configuration/ })
    assert.deepEqual(requests, [])
    await connector.stop()
  })

  it('fails at once while the daemon is away, and says so once', async () => {
    const nodeMultiaddress = await daemon({ 'repo/stat': { body: stat } })
    const messages: string[] = []
    const note = (_fields: object | string, message?: string) => messages.push(message ?? '')
    const logger: Logger = { ...quiet, info: note, warn: note }
    const connector = createKuboConnector({ nodeMultiaddress, logger })
    const port = Number(nodeMultiaddress.split('/').at(-1))
    await new Promise((resolve) => server?.close(resolve))
    await assert.rejects(connector.repoStat(), { name: 'IpfsUnavailableError' })
    await assert.rejects(connector.repoStat(), { name: 'IpfsUnavailableError' })
    await assert.rejects(collect(connector.pinLs()), { name: 'IpfsUnavailableError' })
    assert.deepEqual(messages, ['cannot reach Kubo'])

    server = createServer((_request, response) => response.end(stat))
    await new Promise<void>((resolve) => server?.listen(port, '127.0.0.1', resolve))
    for (;;) {
      try {
        assert.deepEqual(await connector.repoStat(), { repoSizeBytes: 1, storageMaxBytes: 2 })
        break
      } catch (error) {
        assert.equal((error as Error).name, 'IpfsUnavailableError')
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    assert.deepEqual(messages, ['cannot reach Kubo', 'Kubo answers again'])
    await connector.stop()
  })

  it('refuses an address that it cannot speak to', () => {
    assert.throws(() => createKuboConnector({ nodeMultiaddress: '/ip4/127.0.0.1/udp/5001', logger: quiet }), {
      code: 'bad-request'
    })
  })
})
