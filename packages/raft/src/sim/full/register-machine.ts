/**
 * The state machine of the full mode: a few registers, and a digest of every command in order. The state is durable in one file that is replaced as a
 * whole, index and content together (T43), in the simulated file system of the machine. Stands for the application; called by the real driver.
 */

import type { Index } from '../../core/types.ts'
import type { Command, StateMachine, StateSnapshot } from '../../ports.ts'
import { decodeCheckedJson, encodeCheckedJson } from '../../storage/checked-json.ts'
import { type FileSystem, writeFileAtomically } from '../../storage/file-system.ts'
import { registerOf } from '../applier.ts'
import type { StateImage } from '../disk.ts'
import { REGISTERS } from '../judges/linearizable.ts'
import { mix32 } from '../prng.ts'
import { serialOf } from '../sessions.ts'

const FOLDER = '/state'
const FILE = 'registers.json'
const INDEX_FILE = 'index.json'
const CHUNK_BYTES = 48

const emptyState = (): StateImage => ({ index: 0, digest: 0, registers: new Array<number>(REGISTERS).fill(0) })

/** The state cannot be read: the application has to have it made anew. */
class StateDamagedError extends Error {
  override readonly name = 'StateDamagedError'
}

export interface RegisterMachineInit {
  readonly fileSystem: FileSystem
  /** Takes as long as the application takes for a call. */
  readonly delay: () => Promise<void>
  /** The state stands here now. */
  readonly onState: (state: StateImage) => void
  /** Bugs: the index in a file of its own; answers before the state is there. */
  readonly indexApart: boolean
  readonly answersEarly: boolean
}

/** What a command did: the number that it wrote. */
export class RegisterMachine implements StateMachine<number> {
  state: StateImage
  readonly #init: RegisterMachineInit
  /** Ends when all that was answered early is applied. */
  #behind: Promise<void> = Promise.resolve()

  private constructor(init: RegisterMachineInit, state: StateImage) {
    this.#init = init
    this.state = state
  }

  /** @throws {StateDamagedError} */
  static async open(init: RegisterMachineInit): Promise<RegisterMachine> {
    const { fileSystem, indexApart } = init
    await fileSystem.makeFolder(FOLDER)
    let state = (await readChecked(fileSystem, FILE)) as StateImage | undefined
    if (indexApart && state !== undefined) {
      const index = (await readChecked(fileSystem, INDEX_FILE)) as Index | undefined
      state = { ...state, index: index ?? 0 }
    }
    return new RegisterMachine(init, state ?? emptyState())
  }

  appliedIndex(): Index {
    return this.state.index
  }

  digest(): number {
    return this.state.digest
  }

  async discard(): Promise<void> {
    const { fileSystem } = this.#init
    for (const name of [FILE, INDEX_FILE]) await fileSystem.remove(`${FOLDER}/${name}`)
    await fileSystem.syncFolder(FOLDER)
  }

  async apply(commands: readonly Command[], throughIndex: Index): Promise<readonly number[]> {
    const results = commands.map(({ payload }) => serialOf(payload))
    if (this.#init.answersEarly) {
      this.#behind = this.#behind.then(async () => {
        await this.#init.delay()
        this.#take(commands, throughIndex)
      })
      return results
    }
    await this.#init.delay()
    this.#take(commands, throughIndex)
    return results
  }

  #take(commands: readonly Command[], throughIndex: Index): void {
    let { digest } = this.state
    const registers = this.state.registers.slice()
    for (const { index, payload } of commands) {
      const serial = serialOf(payload)
      digest = mix32(mix32(digest ^ index) ^ serial)
      registers[registerOf(serial)] = serial
    }
    this.#stand({ index: throughIndex, digest, registers })
  }

  #stand(state: StateImage): void {
    this.state = state
    this.#init.onState(state)
  }

  async flush(): Promise<Index> {
    await this.#behind
    const { state } = this
    await this.#save(state)
    return state.index
  }

  async #save(state: StateImage): Promise<void> {
    const { fileSystem, indexApart } = this.#init
    await writeFileAtomically(fileSystem, FOLDER, FILE, encodeCheckedJson(state))
    if (indexApart) await writeFileAtomically(fileSystem, FOLDER, INDEX_FILE, encodeCheckedJson(state.index))
  }

  async snapshot(): Promise<StateSnapshot> {
    await this.#behind
    const { state } = this
    const bytes = Buffer.from(JSON.stringify(state))
    return {
      index: state.index,
      async *chunks() {
        for (let at = 0; at < bytes.length; at += CHUNK_BYTES) yield bytes.subarray(at, at + CHUNK_BYTES)
      },
      async close() {}
    }
  }

  async restore(index: Index, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const parts: Uint8Array[] = []
    for await (const chunk of chunks) parts.push(chunk)
    const state = JSON.parse(Buffer.concat(parts).toString()) as StateImage
    if (state.index !== index) throw new Error(`The snapshot at ${index} holds a state at ${state.index}`)
    await this.#save(state)
    this.#stand(state)
  }
}

async function readChecked(fileSystem: FileSystem, name: string): Promise<unknown> {
  const bytes = await fileSystem.readFile(`${FOLDER}/${name}`)
  if (bytes === undefined) return undefined
  const content = decodeCheckedJson(bytes)
  if (content === undefined) throw new StateDamagedError(`${name} is damaged`)
  return content
}
