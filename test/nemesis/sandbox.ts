/**
 * A place where the network, mounts and processes of a run are its own: namespaces of Linux, entered through `unshare` before anything else is
 * done. Nothing in it is seen from outside, and all of it is gone with its first process, however that ends. Where namespaces cannot be had, a run
 * goes on without the faults that need them, and says so. Used by `run.ts`, which starts itself anew inside.
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from '../e2e/support/daemon.ts'

/** Set for the process inside; its value says why there are no namespaces, or is empty. */
const INSIDE = 'QUORATE_NEMESIS_INSIDE'

/** With `--kill-child` and a process namespace, the end of `unshare` or of the first process is the end of all. */
const NAMESPACES = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc']

const LOOPBACK_UP = ['ip', 'link', 'set', 'lo', 'up']

/** Undefined outside. Inside, whether there are namespaces; if not, why. */
export function sandbox(): { readonly missing: string | undefined } | undefined {
  const value = process.env[INSIDE]
  return value === undefined ? undefined : { missing: value === '' ? undefined : value }
}

/**
 * Runs this program again inside, with a folder for temporary files that is removed afterwards.
 * @returns its exit code
 */
export async function enterSandbox(script: string, args: readonly string[]): Promise<number> {
  const missing = await whyNone()
  const temporary = await mkdtemp(join(tmpdir(), 'quorate-nemesis-'))
  const command = [process.execPath, ...process.execArgv, script, ...args]
  const [program, ...words] = missing === undefined ? ['unshare', ...userFlags(), ...NAMESPACES, ...command] : command
  const child = spawn(program!, words, {
    // The run ends itself when its input does, which is when this process ends, however that comes.
    stdio: ['pipe', 'inherit', 'inherit'],
    env: { ...process.env, [INSIDE]: missing ?? '', TMPDIR: temporary }
  })
  // Ctrl-C reaches the run by itself, which then ends in order; a request to end goes to the end of everything.
  const onInterrupt = (): void => undefined
  const onTerminate = (): void => void child.kill('SIGKILL')
  process.on('SIGINT', onInterrupt).on('SIGTERM', onTerminate)
  try {
    await once(child, 'close')
    return child.exitCode ?? 1
  } finally {
    process.off('SIGINT', onInterrupt).off('SIGTERM', onTerminate)
    await rm(temporary, { recursive: true, force: true })
  }
}

const userFlags = (): string[] => (process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'])

/** Why there can be no namespaces; undefined if there can. */
async function whyNone(): Promise<string | undefined> {
  if (process.platform !== 'linux') return `this is ${process.platform}, which has no namespaces`
  return await whyNot(['unshare', ...userFlags(), ...NAMESPACES, ...LOOPBACK_UP])
}

/** In a new network namespace not even the loopback works at first. To be called inside, if there are namespaces. */
export async function bringLoopbackUp(): Promise<void> {
  const reason = await whyNot(LOOPBACK_UP)
  if (reason !== undefined) throw new Error(reason)
}

/** Why a command does not work here; undefined if it does. */
export async function whyNot(command: readonly string[]): Promise<string | undefined> {
  try {
    const { code, stderr } = await run(command, [])
    return code === 0 ? undefined : `\`${command.join(' ')}\` ended with ${code}: ${stderr.trim()}`
  } catch (error) {
    return `\`${command[0]}\` cannot be run: ${error instanceof Error ? error.message : String(error)}`
  }
}

/** Processes in the sandbox beside this one, as `pid command`. Only with namespaces: outside there are those of others. */
export async function otherProcesses(): Promise<string[]> {
  const found: string[] = []
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue
    // What has ended and was not collected yet has no command line.
    const command = await readFile(join('/proc', name, 'cmdline'), 'utf8').catch(() => '')
    if (command !== '') found.push(`${name} ${command.replaceAll('\0', ' ').trim()}`)
  }
  return found
}
