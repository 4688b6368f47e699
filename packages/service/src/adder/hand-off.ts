/**
 * Turns code that hands things on by calling, such as the importer's library with its `put`, into a generator of them: a call returns when what it
 * handed on has been taken and the next is asked for, so that whoever reads the generator sets the pace. Called by `import-files.ts`.
 */

export type Emit<T> = (value: T) => Promise<void>

interface Offer<T> {
  readonly value: T
  readonly taken: () => void
  readonly refused: (error: Error) => void
}

/** Returns what `work` resolves to, and throws what it throws. When the reader leaves early, calls of `emit` reject, and `work` is waited for. */
export async function* handOff<T, R>(work: (emit: Emit<T>) => Promise<R>): AsyncGenerator<T, R> {
  const offers: Offer<T>[] = []
  let wake = (): void => undefined
  let left = false
  const emit: Emit<T> = (value) =>
    new Promise((taken, refused) => {
      if (left) refused(new Error('nobody takes what is handed on'))
      else offers.push({ value, taken, refused })
      wake()
    })
  let outcome: { readonly result: R } | { readonly error: unknown } | undefined
  const working = work(emit).then(
    (result) => {
      outcome = { result }
      wake()
    },
    (error) => {
      outcome = { error }
      wake()
    }
  )
  try {
    for (;;) {
      const offer = offers[0]
      if (offer !== undefined) {
        yield offer.value
        offers.shift()
        offer.taken()
      } else if (outcome !== undefined) {
        if ('error' in outcome) throw outcome.error
        return outcome.result
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    }
  } finally {
    left = true
    for (const { refused } of offers) refused(new Error('nobody takes what is handed on'))
    await working
  }
}
