/**
 * The checksum of everything that is stored or sent: CRC-32 (IEEE), from zlib, about 1 to 3 GB/s. The core is given it as a
 * parameter, since it imports nothing; the storage uses it directly.
 */

import { crc32 } from 'node:zlib'
import type { Checksum } from '../core/types.ts'

/** CRC-32 of `bytes`, continued from `seed`; unsigned 32 bit. */
export const checksum: Checksum = (bytes, seed) => crc32(bytes, seed)
