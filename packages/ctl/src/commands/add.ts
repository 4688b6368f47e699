/** `add`: uploads files and directories, and pins their root. */

import { type AddedOutput, type AddOptions, addedOutputCodec, addedOutputsCodec } from '@quorate/client'
import type { Arguments } from '../arguments.ts'
import type { Command } from '../command-table.ts'
import type { Context } from '../context.ts'
import { CtlError } from '../io.ts'
import { layoutAdded } from '../layout.ts'
import { pinFlags, readPinFlags, readWaitTimeout, waitForCopies } from '../pin-flags.ts'
import { type ProgressBar, showProgress } from '../progress.ts'
import { measureSources, openSources } from '../sources.ts'

const defaultHash = 'sha2-256'

/** What the command line says, as options of the API. @throws {CtlError} */
function readAddFlags(args: Arguments): Partial<AddOptions> {
  const hash = args.text('hash').toLowerCase()
  // A version 0 CID can hold no other hash.
  const cidVersion = hash === defaultHash ? args.integer('cid-version') : 1
  if (cidVersion !== 0 && cidVersion !== 1) throw new CtlError(`option --cid-version must be 0 or 1, not ${cidVersion}`)
  const format = args.text('format') || 'unixfs'
  if (format !== 'unixfs' && format !== 'car') {
    throw new CtlError(`option --format must be unixfs or car, not ${JSON.stringify(format)}`)
  }
  const layout = args.text('layout') || 'balanced'
  if (layout !== 'balanced' && layout !== 'trickle') {
    throw new CtlError(`option --layout must be balanced or trickle, not ${JSON.stringify(layout)}`)
  }
  const wrapWithDirectory = args.flag('wrap-with-directory') || args.operands.length > 1
  if (format === 'car' && wrapWithDirectory) throw new CtlError('a CAR file cannot be wrapped with a directory')
  return {
    ...readPinFlags(args),
    layout,
    chunker: args.text('chunker'),
    hash,
    format,
    local: args.flag('local'),
    recursive: args.flag('recursive'),
    hidden: args.flag('hidden'),
    wrapWithDirectory,
    cidVersion,
    rawLeaves: args.flag('raw-leaves') || cidVersion > 0,
    streamChannels: !args.flag('no-stream'),
    noPin: args.flag('no-pin')
  }
}

export const add: Command = {
  options: {
    recursive: { alias: 'r', type: 'boolean', describe: 'Add directories with all that is in them' },
    quiet: { alias: 'q', type: 'boolean', describe: 'Print only CIDs' },
    quieter: { alias: 'Q', type: 'boolean', describe: 'Print only the CID of the root' },
    'no-stream': { type: 'boolean', describe: 'Print only when all is added' },
    local: { type: 'boolean', describe: 'Store the blocks on the peer that answers; others fetch them from it' },
    ...pinFlags,
    'no-pin': { type: 'boolean', describe: 'Store the blocks, but do not pin them' },
    wait: { type: 'boolean', describe: 'Stay until enough peers have it pinned' },
    'wait-timeout': {
      alias: 'wt',
      type: 'string',
      default: '0s',
      describe: 'With --wait: give up after this time; 0s: never'
    },
    'wrap-with-directory': { alias: 'w', type: 'boolean', describe: 'Put what is added into a directory' },
    format: { type: 'string', default: 'unixfs', describe: 'unixfs: files; car: the blocks of a CAR file' },
    layout: { type: 'string', default: '', describe: 'Shape of the DAG: balanced or trickle' },
    hidden: { alias: 'H', type: 'boolean', describe: 'Take hidden files of directories too' },
    chunker: {
      alias: 's',
      type: 'string',
      default: 'size-262144',
      describe: 'size-<bytes> or rabin-<min>-<avg>-<max>'
    },
    'raw-leaves': { type: 'boolean', describe: 'Leaves of the DAG are plain blocks; implied by --cid-version 1' },
    'cid-version': { type: 'string', default: '0', describe: '0 or 1' },
    hash: {
      type: 'string',
      default: defaultHash,
      describe: 'Hash function; another than sha2-256 implies --cid-version 1'
    },
    progress: { alias: 'p', type: 'boolean', describe: 'Draw a progress bar; the default on a terminal' }
  },
  operands: { usage: '<path>…', min: 1, max: Number.POSITIVE_INFINITY },
  run: async (args, context) => {
    const options = readAddFlags(args)
    const waits = args.flag('wait')
    const timeoutMs = readWaitTimeout(args)
    if (waits && options.noPin === true)
      throw new CtlError('--wait makes no sense with --no-pin: there is no pin to wait for')
    const walk = { recursive: args.flag('recursive'), hidden: args.flag('hidden'), signal: context.signal }
    // Everything is looked at before anything is sent: a path that is not there must not leave half of an upload behind.
    const totalBytes = await measureSources(args.operands, walk)
    const bar = await openBar(args, context, totalBytes)
    let root: AddedOutput | undefined
    try {
      const outputs = context.client.add(openSources(args.operands, walk), options, {
        signal: context.signal,
        onUpload: (sentBytes) => bar?.update(sentBytes)
      })
      root = await printOutputs(args, context, outputs, bar)
    } finally {
      bar?.clear()
    }
    if (waits && root?.cid !== undefined) {
      const { pin } = await context.client.allocation(root.cid, { signal: context.signal })
      await waitForCopies(context, root.cid, 'pinned', pin.replicationFactorMin, timeoutMs)
    }
  }
}

async function openBar(args: Arguments, context: Context, totalBytes: number): Promise<ProgressBar | undefined> {
  const { io } = context
  const quiet = args.flag('quiet') || args.flag('quieter')
  const wanted = args.has('progress') ? args.flag('progress') : io.stderrIsTty && !quiet
  return wanted && io.stderrIsTty ? await showProgress(io.stderr, totalBytes) : undefined
}

/** Prints what was made as the flags ask. @returns the last, which is the root */
async function printOutputs(
  args: Arguments,
  context: Context,
  outputs: AsyncIterable<AddedOutput>,
  bar: ProgressBar | undefined
): Promise<AddedOutput | undefined> {
  const quieter = args.flag('quieter')
  const layout = args.flag('quiet') || quieter ? (output: AddedOutput) => output.cid ?? '' : layoutAdded
  const collected: AddedOutput[] = []
  let last: AddedOutput | undefined
  for await (const output of outputs) {
    if (output.cid === undefined) continue
    last = output
    if (quieter) continue
    if (args.flag('no-stream')) collected.push(output)
    else {
      if (context.io.stdoutIsTty) bar?.clear()
      await context.print(addedOutputCodec, output, layout)
    }
  }
  bar?.clear()
  if (quieter && last !== undefined) await context.print(addedOutputCodec, last, layout)
  if (collected.length > 0) {
    await context.print(addedOutputsCodec, collected, (all) => all.map(layout).join('\n'))
  }
  return last
}
