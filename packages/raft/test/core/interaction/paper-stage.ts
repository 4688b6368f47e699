/** What the tests of the paper's facts (`../paper-*.test.ts`) share: a group under a leader on a `Stage`, and what was said on it. */

import assert from 'node:assert/strict'
import type { AppendEntriesRequest, Message } from '../../../src/core/messages.ts'
import type { CoreOptions, NodeId } from '../../../src/core/types.ts'
import { Stage } from './stage.ts'

const command = (text: string): Uint8Array => new TextEncoder().encode(text)

/** A group that settled under the leader `a`. */
export const group = (ids: string, options: Partial<CoreOptions> = {}, learners = ''): Stage => {
  const stage = new Stage(options)
  stage.add([...ids, ...learners], { voters: [...ids], outgoing: [], learners: [...learners] })
  stage.campaign('a')
  stage.settle()
  assert.equal(stage.leader(), 'a')
  return stage
}

export const propose = (stage: Stage, id: NodeId, ...texts: string[]) =>
  stage.step(id, { type: 'propose', ticket: stage.ticket(), payloads: texts.map(command) })

export const sentBy = (stage: Stage, id: NodeId): Message[] =>
  stage.effects.flatMap(({ node, effect }) => {
    if (node !== id) return []
    if (effect.type === 'send') return [effect.message]
    return effect.type === 'persist' ? effect.release.map((envelope) => envelope.message) : []
  })

/** The last message with entries, or heartbeat, that `id` sent to anybody. */
export const lastAppendOf = (stage: Stage, id: NodeId): AppendEntriesRequest => {
  const last = sentBy(stage, id).findLast((message) => message.type === 'append-entries-request')
  assert.ok(last?.type === 'append-entries-request')
  return last
}

export const effectsOf = (stage: Stage, type: string, id?: NodeId) =>
  stage.effects.filter(({ node, effect }) => effect.type === type && (id === undefined || node === id))
