/** `quorate-service init [source-url]`. Called by `main.ts`; the work is done by `config/init.ts`. */

import type { InitOptions } from '../config/init.ts'
import { type CommandIo, Questions } from './io.ts'

export interface InitArguments {
  readonly folder: string
  readonly sourceUrl: string | undefined
  readonly consensus: string
  readonly customSecret: boolean
  readonly peers: readonly string[]
  readonly force: boolean
  readonly randomPorts: boolean
  /** `embedded`, or the address of Kubo's RPC API. */
  readonly ipfs: string
}

/** @returns the exit code: 0 when done or declined, 1 when the arguments make no sense */
export async function runInit(init: InitArguments, io: CommandIo): Promise<number> {
  if (init.consensus !== 'raft') {
    const reason =
      init.consensus === 'crdt'
        ? 'Quorate agrees by raft only; leave --consensus out, or say --consensus raft'
        : 'it must be raft'
    io.err(`cannot use --consensus ${init.consensus}: ${reason}\n`)
    return 1
  }
  if (init.sourceUrl !== undefined && !/^https?:\/\/[^/]/.test(init.sourceUrl)) {
    io.err(`cannot use the source ${init.sourceUrl}: it must be an http or https address\n`)
    return 1
  }
  // Loaded here, since the keys of libp2p take longer to load than `version` takes to run.
  const { initFolder } = await import('../config/init.ts')
  const questions = new Questions(io)
  const options: InitOptions = {
    folder: init.folder,
    env: io.env,
    ipfs: init.ipfs === 'embedded' ? { kind: 'embedded' } : { kind: 'ipfshttp', nodeMultiaddress: init.ipfs },
    peers: init.peers,
    randomPorts: init.randomPorts,
    source: init.sourceUrl,
    confirmOverwrite: async (file) =>
      init.force || (await questions.confirm(`${file} exists and will be overwritten.`)),
    say: (message) => io.err(`${message}\n`),
    ...(init.customSecret
      ? { secret: async () => (await questions.ask('Enter the cluster secret (32 bytes in hexadecimal): ')) ?? '' }
      : {})
  }
  try {
    await initFolder(options)
    return 0
  } finally {
    questions.close()
  }
}
