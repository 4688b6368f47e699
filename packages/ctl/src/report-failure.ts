/**
 * Tells a failure as `ipfs-cluster-ctl` does, so that scripts written for it keep working: an answer of the peer, or the lack of one, goes
 * to standard output as `{code, message}` or three lines; everything else goes to standard error.
 */

import { ApiError, DecodeError, encodeJson, errorBodyCodec, TransportError, WaitFailedError } from '@quorate/client'
import { jsonIndentSpaces } from './context.ts'
import { BrokenPipeError, CtlError, type ExitCode, exitCodes, type Io } from './io.ts'
import { printable } from './layout.ts'

/** @returns the exit code; never rejects */
export async function reportFailure(error: unknown, io: Io, json: boolean): Promise<ExitCode> {
  try {
    return await report(error, io, json)
  } catch {
    // Nobody listens.
    return exitCodes.failed
  }
}

async function report(error: unknown, io: Io, json: boolean): Promise<ExitCode> {
  if (error instanceof BrokenPipeError) return exitCodes.ok
  if (io.signal.aborted) {
    await io.writeErr(`error : ${messageOf(io.signal.reason)}\n`)
    return exitCodes.cancelled
  }
  if (error instanceof ApiError || error instanceof TransportError) {
    // Code 0 stands for "no answer" there, and ends with 1 instead of 2.
    const code = error instanceof ApiError ? error.status : 0
    const body = { code, message: error.message }
    const text = json
      ? encodeJson(errorBodyCodec.encode(body), jsonIndentSpaces)
      : `An error occurred:\n  Code: ${code}\n  Message: ${body.message.split('\n').map(printable).join('\n')}`
    await io.writeOut(`${text}\n`)
    return error instanceof ApiError ? exitCodes.refused : exitCodes.failed
  }
  if (error instanceof CtlError) {
    const isTopic = error.exitCode === exitCodes.unknownCommand
    await io.writeErr(isTopic ? `${error.message}\n` : `error ${error.doing}: ${error.message}\n`)
    return error.exitCode
  }
  if (error instanceof WaitFailedError) {
    await io.writeErr(`error waiting for pin status: ${error.message}\n`)
    return exitCodes.failed
  }
  const doing = error instanceof DecodeError ? 'reading the answer' : ''
  await io.writeErr(`error ${doing}: ${messageOf(error)}\n`)
  return exitCodes.failed
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
