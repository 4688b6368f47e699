/**
 * Has the daemon run with a small young generation. Where there is much memory V8 lets it grow to twice 64 MiB and keeps it, and on a
 * peer nearly all of that is room for garbage between two collections; `docs/benchmarks.md` has the figures.
 *
 * V8 takes the size on its command line alone, and a script cannot say there what all systems understand (`env -S` is not everywhere).
 * So the process replaces itself by one with the option, under the same number, before it has opened anything. Called by `bin.ts`.
 */

/** MiB of one of the two halves. */
const HALF_MIB = 8
const OPTION = '--max-semi-space-size'

type Start = Pick<NodeJS.Process, 'execPath' | 'execArgv' | 'argv' | 'env'>

/** The words to start the process anew with, the program first; undefined if it is to go on as it is. */
export function leanerStart({ execPath, execArgv, argv, env }: Start): readonly string[] | undefined {
  const options = [...execArgv, ...(env.NODE_OPTIONS ?? '').split(/\s+/)].map((word) => word.replaceAll('_', '-'))
  // Who sets a size knows better. A debugger would have to be connected once more.
  if (options.some((word) => word.startsWith(OPTION) || word.startsWith('--inspect'))) return undefined
  return [execPath, ...execArgv, `${OPTION}=${HALF_MIB}`, ...argv.slice(1)]
}

/** Returns where the system has no way to replace a process (Windows), and once it is done. */
export function startLeaner(): void {
  const words = leanerStart(process)
  if (words !== undefined) process.execve?.(process.execPath, words, process.env)
}
