/** A peer in a process of its own, to be killed: it accepts links and keeps one to whom it is told. Used by `links.test.ts`. */

import { createLinks } from '../../src/index.ts'
import { createHost } from './host.ts'

const host = await createHost()
const links = createLinks({
  libp2p: host.libp2p,
  protocol: '/test/links/1',
  maxFrameBytes: 1 << 20,
  maxQueuedBytes: 1 << 20,
  hello: () => Buffer.from('group-a'),
  onHello: () => undefined
})
await links.start({
  onFrame: (peer, frame) => {
    links.send(peer, frame)
    return undefined
  },
  onUp: () => {},
  onDown: () => {}
})
process.send?.(host.libp2p.getMultiaddrs().map((address) => address.toString()))
process.on('disconnect', () => process.exit(0))
