/** Pins and commands for the tests of `state/` and of what stands on it. */

import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Pin } from '@quorate/client/api'
import type { Command } from '@quorate/raft'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { encodeOperation, type Operation } from '../../src/state/ops.ts'

/** A folder that goes when the test ends. */
export async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'quorate-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** The CID of some content, by number; odd ones are CIDv0. */
export function testCid(number: number): string {
  const digest = Digest.create(0x12, createHash('sha256').update(`content ${number}`).digest())
  return (number % 2 === 1 ? CID.createV0(digest) : CID.createV1(0x70, digest)).toString()
}

export function testPin(number: number, changes: Partial<Pin> = {}): Pin {
  return {
    cid: testCid(number),
    type: 'pin',
    replicationFactorMin: -1,
    replicationFactorMax: -1,
    name: '',
    mode: 'recursive',
    shardSizeBytes: 0,
    userAllocations: [],
    expireAtMs: undefined,
    metadata: {},
    pinUpdate: undefined,
    origins: [],
    allocations: [],
    maxDepth: -1,
    reference: undefined,
    timestampMs: 1_700_000_000_000,
    ...changes
  }
}

export function commands(firstIndex: number, operations: readonly Operation[]): Command[] {
  return operations.map((operation, position) => ({
    index: firstIndex + position,
    payload: encodeOperation(operation)
  }))
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

export async function* stream<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items
}
