/** A process of its own for a test that kills it: pins roots one after another and prints each that was acknowledged. */

import { embeddedNode } from './embedded-node.ts'

const [folder, address, ...roots] = process.argv.slice(2)
if (folder === undefined || address === undefined)
  throw new Error('usage: pin-until-killed.ts <folder> <address> <root>…')
const { connector } = await embeddedNode({ folder })
await connector.connectSwarm([address])
for (const root of roots) {
  await connector.pin(root, { mode: 'recursive' })
  process.stdout.write(`${root}\n`)
}
await connector.stop()
