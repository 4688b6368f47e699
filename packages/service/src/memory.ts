/**
 * Has the daemon run with a heap that is kept small. Left to itself, where there is much memory, V8 lets the young generation grow to
 * twice 64 MiB, and the old one to several times what is in use before it collects, and gives little of it back; on a peer nearly all of
 * that is garbage. What these options cost and bring is in `docs/benchmarks.md`.
 *
 * V8 takes them on its command line alone, and a script cannot say there what all systems understand (`env -S` is not everywhere).
 * So the process replaces itself by one with the options, under the same number, before it has opened anything. Called by `bin.ts`.
 */

const OPTIONS = [
  // MiB of one of the two halves of the young generation.
  '--max-semi-space-size=8',
  // The old generation is collected when it is twice what was in use after the last time.
  '--heap-growing-percent=100'
]
const KEPT = ['--max-semi-space-size', '--heap-growing-percent', '--inspect']

type Start = Pick<NodeJS.Process, 'execPath' | 'execArgv' | 'argv' | 'env'>

/** The words to start the process anew with, the program first; undefined if it is to go on as it is. */
export function leanerStart({ execPath, execArgv, argv, env }: Start): readonly string[] | undefined {
  const given = [...execArgv, ...(env.NODE_OPTIONS ?? '').split(/\s+/)].map((word) => word.replaceAll('_', '-'))
  // Who sets one of them knows better. A debugger would have to be connected once more.
  if (given.some((word) => KEPT.some((option) => word.startsWith(option)))) return undefined
  return [execPath, ...execArgv, ...OPTIONS, ...argv.slice(1)]
}

/** Returns where a process cannot or may not be replaced (Windows, Node's permissions), and once it is done. */
export function startLeaner(): void {
  const words = leanerStart(process)
  if (words === undefined) return
  try {
    process.execve?.(process.execPath, words, process.env)
  } catch {
    // It costs memory, and nothing else.
  }
}
