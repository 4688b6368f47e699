/**
 * Why an upload cannot be added. `invalid-parameter` is found before anything is read and becomes a plain 400; the others are about
 * the content, found on the way. The messages of parameters are IPFS Cluster's and Kubo's, which clients match on.
 */

export type AddErrorCode = 'invalid-parameter' | 'invalid-content'

export class AddError extends Error {
  static override readonly name = 'AddError'
  override readonly name = 'AddError'
  readonly code: AddErrorCode

  constructor(code: AddErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
