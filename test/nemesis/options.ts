/** The command line of `run.ts`. */

import { parseArgs } from 'node:util'
import { type FaultName, faultNames } from './faults.ts'

export interface NemesisOptions {
  readonly seed: number
  readonly peers: number
  /** For how long faults come; not looked at when there are rounds. */
  readonly minutes: number
  /** How often each fault comes; undefined: until the time is over. */
  readonly rounds: number | undefined
  readonly faults: readonly FaultName[]
  readonly maxHoldMs: number
  /** A folder that exists. */
  readonly out: string
}

export const usage = `node --conditions=quorate-source test/nemesis/run.ts [options]
  --minutes=N    faults for so long (default 1)
  --rounds=N     instead: each fault N times
  --faults=a,b   of ${faultNames.join(', ')} (default all)
  --peers=N      three or more (default 3)
  --max-hold=S   longest time that a fault holds, in seconds (default 30); long-pause always holds 30
  --seed=N       the same faults in the same order
  --out=FOLDER   where the history, the logs and the report go`

/** @returns what is wrong, in words, when something is */
export function parseOptions(
  args: readonly string[]
):
  | (Omit<NemesisOptions, 'out' | 'seed'> & { readonly out: string | undefined; readonly seed: number | undefined })
  | string {
  const string = { type: 'string' } as const
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        minutes: string,
        rounds: string,
        faults: string,
        peers: string,
        'max-hold': string,
        seed: string,
        out: string
      }
    })
    const number = (name: 'minutes' | 'rounds' | 'peers' | 'max-hold' | 'seed', least: number): number | undefined => {
      const text = values[name]
      if (text === undefined) return undefined
      const value = Number(text)
      if (text === '' || !(value >= least && value < 1e9))
        throw new Error(`--${name}=${text} is no number from ${least} on`)
      return value
    }
    const chosen = values.faults?.split(',') ?? faultNames
    const isFault = (name: string): name is FaultName => (faultNames as readonly string[]).includes(name)
    const strange = chosen.find((name) => !isFault(name))
    if (strange !== undefined) throw new Error(`There is no fault ${strange}`)
    return {
      minutes: number('minutes', 0) ?? 1,
      rounds: number('rounds', 1),
      faults: chosen.filter(isFault),
      peers: Math.floor(number('peers', 3) ?? 3),
      maxHoldMs: (number('max-hold', 0.1) ?? 30) * 1000,
      seed: number('seed', 0),
      out: values.out
    }
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
