/**
 * Requests and answers of `methods.ts` as bytes: CBOR, checked on arrival against the schema of the method. Whatever a peer sends, one error
 * class comes out, and the work and memory that it takes are bounded. Called by `peer-rpc.ts`.
 */

import { decode, encode, Tokenizer } from 'cborg'
import type { z } from 'zod'
import { type RpcMethod, type RpcRequest, type RpcResponse, rpcMethods } from './methods.ts'

/** A peer sent a request or an answer that is not of the method's form. */
export class MalformedRpcError extends Error {
  static override readonly name = 'MalformedRpcError'
  override readonly name = 'MalformedRpcError'
}

/**
 * Most values in one request or answer, each member of a list or map counted. Checking costs far more than a byte of CBOR does: 1 MB of empty
 * values would take seconds and hundreds of megabytes. A frame of rows has at most 65,536 bytes and one row more.
 */
const MAX_VALUES = 131_072

class BoundedTokenizer extends Tokenizer {
  #left = MAX_VALUES

  override next(): ReturnType<Tokenizer['next']> {
    if (this.#left-- === 0) throw new Error(`it has more than ${MAX_VALUES} values`)
    return super.next()
  }
}

/** What is wrong first: of a list of wrong things there may be thousands. */
function firstFault(error: z.ZodError): string {
  const issue = error.issues[0]
  if (issue === undefined) return 'it is not of the form that is agreed'
  const more = error.issues.length > 1 ? `, and ${error.issues.length - 1} more` : ''
  return `${issue.path.join('.') || 'it'}: ${issue.message.slice(0, 500)}${more}`
}

/**
 * Decodes what a peer sent and checks it against the method's schema.
 *
 * @throws {MalformedRpcError} when the bytes are not CBOR, or not of the method's form; nothing else, whatever the bytes
 */
export function readPayload<M extends RpcMethod, Part extends 'request' | 'response'>(
  method: M,
  part: Part,
  bytes: Uint8Array,
  from: string
): Part extends 'request' ? RpcRequest<M> : RpcResponse<M> {
  let value: unknown
  try {
    value = decode(bytes, { tokenizer: new BoundedTokenizer(bytes) })
  } catch (error) {
    throw new MalformedRpcError(`Peer ${from} sent a ${part} of ${method} that is not CBOR: ${String(error)}`, {
      cause: error
    })
  }
  const checked = rpcMethods[method][part].safeParse(value)
  if (!checked.success) {
    throw new MalformedRpcError(`Peer ${from} sent a malformed ${part} of ${method}: ${firstFault(checked.error)}`)
  }
  return checked.data as Part extends 'request' ? RpcRequest<M> : RpcResponse<M>
}

/** `undefined` has no place in CBOR maps that other implementations read: absent means absent. */
export const writePayload = (value: unknown): Uint8Array => encode(value, { ignoreUndefinedProperties: true })
