/** The embedded node: the conformance suite, and what is its own: durability, restarts, limits, the pins under way. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { afterEach, describe, it } from 'node:test'
import type { Worker } from 'node:worker_threads'
import { createEmbeddedConnector } from '../../src/ipfs/embedded/embedded-connector.ts'
import { collect, type Dag, multihashOf, node, randomBlock, randomDag, streamOf } from './blocks.ts'
import { ipfsConnectorSuite } from './connector-suite.ts'
import { embeddedNode, quiet, type TestNode, temporaryFolder } from './embedded-node.ts'

ipfsConnectorSuite('embedded node', { create: () => embeddedNode(), createOther: () => embeddedNode() })

const patience = () => AbortSignal.timeout(20_000)

async function connect(a: TestNode, b: TestNode): Promise<void> {
  const [idA, idB] = await Promise.all([a.connector.id(), b.connector.id()])
  await Promise.all([a.connector.connectSwarm(idB.addresses), b.connector.connectSwarm(idA.addresses)])
}

/** Every block of the DAG is there, with nobody to fetch it from. */
async function assertComplete(connector: TestNode['connector'], dag: Dag): Promise<void> {
  for (const { cid, bytes } of dag.blocks) {
    assert.deepEqual(
      Buffer.from(await connector.getBlock(cid, { signal: AbortSignal.timeout(2000) })),
      Buffer.from(bytes)
    )
  }
}

describe('the embedded node', { timeout: 120_000 }, () => {
  let nodes: TestNode[] = []
  const create = async (init: Parameters<typeof embeddedNode>[0] = {}): Promise<TestNode> => {
    const created = await embeddedNode(init)
    nodes.push(created)
    return created
  }

  afterEach(async () => {
    await Promise.all(nodes.map(({ remove }) => remove()))
    nodes = []
  })

  it('keeps identity, pins and size over a restart', async () => {
    const folder = await temporaryFolder()
    const dag = randomDag(5)
    const first = await create({ folder })
    const { release } = await first.connector.putBlocks(streamOf(dag.blocks))
    await first.connector.pin(dag.root, { mode: 'recursive', signal: patience() })
    release()
    const { id } = await first.connector.id()
    const stat = await first.connector.repoStat()
    await first.connector.stop()

    const second = await create({ folder })
    assert.equal((await second.connector.id()).id, id)
    assert.deepEqual(await second.connector.repoStat(), stat)
    assert.equal(await second.connector.pinLsCid(dag.root), 'recursive')
    await collect(second.connector.repoGc())
    await assertComplete(second.connector, dag)
  })

  it('refuses pins and uploads that exceed storage_max, and says so', async () => {
    const full = await create({ storageMaxBytes: 10_000 })
    const source = await create()
    await connect(full, source)
    await assert.rejects(full.connector.putBlocks(streamOf([randomBlock(20_000)])), {
      code: 'no-space',
      message: /storage_max/
    })
    const dag = randomDag(20, 1000)
    await source.connector.putBlocks(streamOf(dag.blocks))
    await assert.rejects(full.connector.pin(dag.root, { mode: 'recursive', signal: patience() }), { code: 'no-space' })
    assert.equal(await full.connector.pinLsCid(dag.root), undefined)
    assert.ok((await full.connector.repoStat()).repoSizeBytes <= 10_000)
  })

  it('takes up an interrupted pin where it was left', async () => {
    const target = await create()
    const source = await create()
    await connect(target, source)
    const dag = randomDag(3000, 10_000)
    await source.connector.putBlocks(streamOf(dag.blocks))
    const interrupted = new AbortController()
    let fetchedBytes = 0
    const onProgress = ({ blocks, bytes }: { blocks: number; bytes: number }) => {
      fetchedBytes = bytes
      if (blocks >= 50) interrupted.abort()
    }
    await assert.rejects(target.connector.pin(dag.root, { mode: 'recursive', onProgress, signal: interrupted.signal }))
    assert.ok(fetchedBytes >= 490_000)
    assert.equal(await target.connector.pinLsCid(dag.root), undefined)

    let secondBytes = 0
    await target.connector.pin(dag.root, {
      mode: 'recursive',
      signal: patience(),
      onProgress: ({ bytes }) => {
        secondBytes = bytes
      }
    })
    assert.ok(secondBytes <= 30_200_000 - 490_000, `fetched ${secondBytes} bytes again`)
    await source.remove()
    await assertComplete(target.connector, dag)
  })

  it('collects no block of a pin that is under way', async () => {
    const target = await create()
    const source = await create()
    await connect(target, source)
    const dags = [randomDag(150, 5000), randomDag(150, 5000)]
    for (const dag of dags) await source.connector.putBlocks(streamOf(dag.blocks))
    let pinning = true
    const collecting = (async () => {
      let collections = 0
      while (pinning) {
        await collect(target.connector.repoGc())
        collections++
      }
      return collections
    })()
    for (const dag of dags) await target.connector.pin(dag.root, { mode: 'recursive', signal: patience() })
    pinning = false
    assert.ok((await collecting) > 0)
    await source.remove()
    for (const dag of dags) await assertComplete(target.connector, dag)
  })

  it('collects no block of an upload that has not been released', async () => {
    const { connector } = await create()
    const dag = randomDag(5)
    const { release } = await connector.putBlocks(streamOf(dag.blocks))
    assert.deepEqual(await collect(connector.repoGc()), [])
    release()
    assert.equal((await collect(connector.repoGc())).length, dag.blocks.length)
  })

  it('fetches each block once, whoever has it', async () => {
    const three = await Promise.all([create(), create(), create()])
    const [target, source1, source2] = three as [TestNode, TestNode, TestNode]
    const addresses = (await Promise.all(three.map(({ connector }) => connector.id()))).flatMap(
      ({ addresses }) => addresses
    )
    await Promise.all(three.map(({ connector }) => connector.connectSwarm(addresses)))
    const dag = randomDag(100, 10_000)
    for (const { connector } of [source1, source2]) await connector.putBlocks(streamOf(dag.blocks))
    let fetchedBytes = 0
    await target.connector.pin(dag.root, {
      mode: 'recursive',
      signal: patience(),
      onProgress: ({ bytes }) => {
        fetchedBytes = bytes
      }
    })
    assert.equal(
      fetchedBytes,
      dag.blocks.reduce((sum, { bytes }) => sum + bytes.length, 0)
    )
  })

  it('ends the wait for a block when it is put here by other means', async () => {
    const { connector } = await create()
    const wanted = randomBlock()
    const pinning = connector.pin(wanted.cid, { mode: 'recursive', signal: patience() })
    const reading = connector.getBlock(wanted.cid, { signal: patience() })
    const { release } = await connector.putBlocks(streamOf([wanted]))
    await pinning
    assert.deepEqual(Buffer.from(await reading), wanted.bytes)
    release()
  })

  it('refuses to pin what it cannot verify or follow', async () => {
    const { connector } = await create()
    // Codec git-raw, whose links are not known here.
    const gitRaw = 'baf4bcfchpqwkpmlbhqqqqqqqqqqqqqqqqqqqqqqqqqq'
    await assert.rejects(connector.pin(gitRaw, { mode: 'recursive', signal: patience() }), { name: 'IpfsRequestError' })
    await assert.rejects(connector.resolve('/ipns/example.org'), { code: 'unsupported' })
  })

  it('refuses to pin a DAG with a malformed node, instead of taking it for a leaf', async () => {
    const { connector } = await create()
    const { block } = await import('./blocks.ts')
    const malformed = block(Uint8Array.of(0xff, 0xff, 0xff), 0x70)
    const root = node([malformed])
    await connector.putBlocks(streamOf([malformed, root]))
    await assert.rejects(connector.pin(root.cid, { mode: 'recursive', signal: patience() }), { code: 'corrupt' })
  })

  it('reports a worker that died as unavailable, and starts another that knows the pins', async () => {
    const workers: Worker[] = []
    const onWorker = (worker: Worker) => workers.push(worker)
    process.on('worker', onWorker)
    const { connector } = await create()
    process.off('worker', onWorker)
    const dag = randomDag(3)
    await connector.putBlocks(streamOf(dag.blocks))
    await connector.pin(dag.root, { mode: 'recursive', signal: patience() })
    const waiting = connector.pin(randomBlock().cid, { mode: 'recursive', signal: patience() })
    waiting.catch(() => undefined)
    await workers[0]?.terminate()
    await assert.rejects(waiting, { name: 'IpfsUnavailableError' })
    const again = patience()
    for (;;) {
      try {
        assert.equal(await connector.pinLsCid(dag.root), 'recursive')
        break
      } catch (error) {
        assert.equal((error as Error).name, 'IpfsUnavailableError')
        again.throwIfAborted()
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    await connector.stop()
    await assert.rejects(connector.id(), { name: 'IpfsUnavailableError' })
  })

  it('does not start on a folder that another node uses', async () => {
    const { folder } = await create()
    const second = createEmbeddedConnector({
      folder,
      network: 'private',
      listenMultiaddrs: [],
      storageMaxBytes: 0,
      logger: quiet
    })
    await assert.rejects(second.start(), { name: 'IpfsUnavailableError' })
  })

  it('has every block of every pin that it acknowledged before kill -9', async () => {
    const source = await create()
    const folder = await temporaryFolder()
    const dags = Array.from({ length: 30 }, () => randomDag(20, 5000))
    for (const dag of dags) await source.connector.putBlocks(streamOf(dag.blocks))
    const { addresses } = await source.connector.id()
    const script = new URL('./pin-until-killed.ts', import.meta.url).pathname
    const args = [folder, addresses[0] ?? '', ...dags.map(({ root }) => root)]
    const child = spawn(process.execPath, ['--conditions=quorate-source', script, ...args], {
      stdio: ['ignore', 'pipe', 'inherit']
    })
    const acknowledged: string[] = []
    for await (const line of createInterface(child.stdout)) {
      acknowledged.push(line)
      if (acknowledged.length === 10) child.kill('SIGKILL')
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    assert.equal(child.signalCode, 'SIGKILL')
    assert.ok(acknowledged.length < dags.length)
    await source.remove()

    const reopened = await create({ folder })
    const pinned = new Set((await collect(reopened.connector.pinLs())).map(({ cid }) => cid))
    for (const root of acknowledged) assert.ok(pinned.has(root))
    await collect(reopened.connector.repoGc())
    for (const dag of dags) if (pinned.has(dag.root)) await assertComplete(reopened.connector, dag)
  })

  it('collects what a crash left of pins that were not finished', async () => {
    const { connector } = await create()
    const dag = randomDag(5)
    const missing = randomBlock()
    const root = node([...dag.blocks, missing])
    const { release } = await connector.putBlocks(streamOf([...dag.blocks, root]))
    release()
    const given = new AbortController()
    const pinning = connector.pin(root.cid, {
      mode: 'recursive',
      signal: given.signal,
      onProgress: ({ blocks }) => {
        if (blocks >= 7) given.abort()
      }
    })
    await assert.rejects(pinning)
    const removed = new Set((await collect(connector.repoGc())).map(({ cid }) => multihashOf(cid)))
    assert.equal(removed.size, dag.blocks.length + 1)
  })
})
