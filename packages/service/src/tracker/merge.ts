/** Joins the pinset with what the tracker knows: both come in the order of the CIDs' bytes, so neither is held in memory. */

import type { Pin } from '@quorate/client/api'
import { idOf } from './operation-store.ts'

/** One CID that is in the pinset, or in the other sequence, or in both. */
export interface Row<T> {
  readonly id: string
  readonly pin: Pin | undefined
  readonly other: T | undefined
}

export async function* mergeById<T>(
  pins: AsyncIterable<Pin>,
  others: AsyncIterable<[id: string, value: T]>
): AsyncGenerator<Row<T>> {
  const left = pins[Symbol.asyncIterator]()
  const right = others[Symbol.asyncIterator]()
  try {
    let [pin, other] = [await next(left), await next(right)]
    while (pin !== undefined || other !== undefined) {
      const pinId = pin === undefined ? undefined : idOf(pin.cid)
      const otherId = other?.[0]
      if (pinId !== undefined && (otherId === undefined || pinId <= otherId)) {
        const both = pinId === otherId
        yield { id: pinId, pin, other: both ? other?.[1] : undefined }
        pin = await next(left)
        if (both) other = await next(right)
      } else if (otherId !== undefined) {
        yield { id: otherId, pin: undefined, other: other?.[1] }
        other = await next(right)
      }
    }
  } finally {
    await left.return?.()
    await right.return?.()
  }
}

async function next<T>(iterator: AsyncIterator<T>): Promise<T | undefined> {
  const result = await iterator.next()
  return result.done === true ? undefined : result.value
}
