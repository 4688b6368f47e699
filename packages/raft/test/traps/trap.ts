/** What the tables of traps (`consensus-traps.ts`, `state-traps.ts`) are made of. */

export interface Trap {
  readonly id: string
  readonly rule: string
  readonly places: readonly string[]
  readonly scenarios: readonly string[]
  /** Of `core/mutations.ts` and `sim/full/bugs.ts`. */
  readonly bugs: readonly string[]
}

/** One row, in the order of its columns. */
export const trap = (
  id: string,
  rule: string,
  places: readonly string[],
  scenarios: readonly string[],
  bugs: readonly string[] = []
): Trap => ({ id, rule, places, scenarios, bugs })
