/**
 * Joins `main` to this process: its streams, its environment, its signals and its exit code. Called by `bin.ts`.
 */

import { constants } from 'node:os'
import { main } from './index.ts'
import { BrokenPipeError, type Io } from './io.ts'

/** Resolves when the stream has taken the text, so that a slow reader slows us instead of filling memory. */
function writeTo(stream: NodeJS.WriteStream, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(text, (error) => {
      if (error === null || error === undefined) resolve()
      else if ('code' in error && (error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED')) {
        reject(new BrokenPipeError('the reader of the output is gone', { cause: error }))
      } else reject(error)
    })
  })
}

/** Runs the command line of this process to its end. The first SIGINT or SIGTERM cancels what is going on, the second ends at once. */
export async function runProcess(): Promise<void> {
  // A pipe that breaks is also told as an event, which would end the process with a stack trace; the write reports it already.
  process.stdout.on('error', () => {})
  process.stderr.on('error', () => {})
  const controller = new AbortController()
  const onSignal = (signal: 'SIGINT' | 'SIGTERM'): void => {
    if (controller.signal.aborted) process.exit(128 + constants.signals[signal])
    controller.abort(new Error(`cancelled by ${signal}`))
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  const io: Io = {
    writeOut: (text) => writeTo(process.stdout, text),
    writeErr: (text) => writeTo(process.stderr, text),
    stderr: process.stderr,
    env: process.env,
    stdoutIsTty: process.stdout.isTTY === true,
    stderrIsTty: process.stderr.isTTY === true,
    columns: process.stdout.columns ?? 100,
    signal: controller.signal
  }
  try {
    process.exitCode = await main(process.argv.slice(2), io)
  } finally {
    process.off('SIGINT', onSignal)
    process.off('SIGTERM', onSignal)
  }
}
