/** Embedded nodes for tests: on loopback, in folders of their own that are removed afterwards. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createEmbeddedConnector } from '../../src/ipfs/embedded/embedded-connector.ts'
import type { Logger } from '../../src/ports.ts'
import type { SuiteNode } from './connector-suite.ts'

export const quiet: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined
}

export const temporaryFolder = (): Promise<string> => mkdtemp(join(tmpdir(), 'quorate-ipfs-'))

export interface TestNode extends SuiteNode {
  readonly folder: string
}

/** A started node. */
export async function embeddedNode(
  init: { folder?: string; storageMaxBytes?: number; logger?: Logger } = {}
): Promise<TestNode> {
  const folder = init.folder ?? (await temporaryFolder())
  const connector = createEmbeddedConnector({
    folder,
    network: 'private',
    listenMultiaddrs: ['/ip4/127.0.0.1/tcp/0'],
    storageMaxBytes: init.storageMaxBytes ?? 0,
    logger: init.logger ?? quiet
  })
  await connector.start()
  const remove = async () => {
    await connector.stop()
    await rm(folder, { recursive: true, force: true })
  }
  return { connector, folder, remove }
}
