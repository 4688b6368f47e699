/** Many cases of damage, on images that are made once each. Called by `damage.sim.ts` and `run.ts`. */

import type { LogStorage } from '../../src/ports.ts'
import { runCase } from './case.ts'
import { type Image, makeImage } from './image.ts'

const IMAGES = 64

export interface SuiteInit {
  readonly firstSeed: number
  readonly cases: number
  readonly around?: (log: LogStorage) => LogStorage
}

export interface Totals {
  cases: number
  victims: number
  sound: number
  repaired: number
  quarantined: number
  powerCuts: number
  ledByVictim: number
}

/** @throws {Error} at the first case that fails, with its seed */
export async function runCases({ firstSeed, cases, around }: SuiteInit): Promise<Totals> {
  const images = new Map<number, Image>()
  const totals: Totals = { cases, victims: 0, sound: 0, repaired: 0, quarantined: 0, powerCuts: 0, ledByVictim: 0 }
  for (let seed = firstSeed; seed < firstSeed + cases; seed++) {
    const number = seed % IMAGES
    const image = images.get(number) ?? (await makeImage(number))
    images.set(number, image)
    const outcome = await runCase({ image, seed, ...(around === undefined ? {} : { around }) })
    totals.victims += outcome.victims
    totals.sound += outcome.sound
    totals.repaired += outcome.repaired
    totals.quarantined += outcome.quarantined
    totals.powerCuts += outcome.powerCuts
    totals.ledByVictim += Number(outcome.ledByVictim)
  }
  return totals
}

/** The mistake of taking rot for a torn tail: what follows the first fault is forgotten, and the node goes on as if it had never been. */
export function faultsAsEnd(log: LogStorage): LogStorage {
  return {
    async load() {
      const { hardState, base, entries, faults, baseLost } = await log.load()
      if (faults.length > 0 && baseLost !== true) await log.replace!({ hardState, base, entries })
      return baseLost === true
        ? { hardState, base, entries, faults, baseLost }
        : { hardState, base, entries, faults: [] }
    },
    persist: (batch) => log.persist(batch),
    compact: (base) => log.compact(base),
    reset: (base) => log.reset(base),
    close: () => log.close()
  }
}
