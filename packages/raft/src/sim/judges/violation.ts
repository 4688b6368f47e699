/** What a judge throws: a broken invariant, by the name of the judge that saw it. Ends the run; `simulate` reports it. */
export class Violation extends Error {
  override readonly name = 'Violation'
  /** The invariant, in kebab case: the name of the file in `judges/`, or `liveness`, `halt`, `exception`. */
  readonly judge: string

  constructor(judge: string, message: string) {
    super(message)
    this.judge = judge
  }
}
