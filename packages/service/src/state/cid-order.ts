/** The order in which every peer lists its pins: that of the keys in the state, the CIDs' bytes. */

import type { CidString } from '@quorate/client/api'
import { cidToBytes } from './pin-codec.ts'

export const compareCids = (a: CidString, b: CidString): number =>
  a === b ? 0 : Buffer.compare(cidToBytes(a), cidToBytes(b))
