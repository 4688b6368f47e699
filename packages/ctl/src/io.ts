/**
 * What a run of the command line sees of the world, and its own errors. `process-io.ts` joins it to the process, tests join it
 * to memory.
 */

export interface Io {
  /** Results, and errors that a peer answered. Rejects with {@link BrokenPipeError} when nobody reads any more. */
  writeOut(text: string): Promise<void>
  /** Everything else. */
  writeErr(text: string): Promise<void>
  /** Where a progress bar draws; used only if `stderrIsTty`. */
  readonly stderr: NodeJS.WritableStream
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdoutIsTty: boolean
  readonly stderrIsTty: boolean
  /** Width of the terminal in characters. */
  readonly columns: number
  /** Aborted when the user cancels. */
  readonly signal: AbortSignal
}

/** As IPFS Cluster's `ipfs-cluster-ctl` ends. */
export const exitCodes = {
  ok: 0,
  /** No answer, bad arguments, a local failure. */
  failed: 1,
  /** The peer answered with an error. */
  refused: 2,
  unknownCommand: 3,
  /** `--wait-timeout` ran out. */
  timedOut: 62,
  cancelled: 125
} as const

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]

/** A run that ends with a message on standard error: `error <doing>: <message>`. */
export class CtlError extends Error {
  static override readonly name = 'CtlError'
  override readonly name = 'CtlError'
  /** May be empty. */
  readonly doing: string
  readonly exitCode: ExitCode

  constructor(message: string, options: ErrorOptions & { readonly doing?: string; readonly exitCode?: ExitCode } = {}) {
    super(message, options)
    this.doing = options.doing ?? ''
    this.exitCode = options.exitCode ?? exitCodes.failed
  }
}

/** `quorate-ctl … | head` closed its end: no failure, but nothing more to do. */
export class BrokenPipeError extends Error {
  static override readonly name = 'BrokenPipeError'
  override readonly name = 'BrokenPipeError'
}
