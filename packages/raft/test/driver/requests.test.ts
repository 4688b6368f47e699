import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Requests } from '../../src/driver/requests.ts'

const change = { voters: ['b', 'a'], learners: ['c'] }
const asked = { voters: ['a', 'b'], outgoing: [], learners: ['c'] }
const other = { voters: ['a'], outgoing: [], learners: [] }

/** A change that was appended at 10. */
function start(): { requests: Requests; answer: Promise<void> } {
  const requests = new Requests()
  const answer = requests.add(1, change, undefined)
  answer.catch(() => {})
  requests.onProposed(1, 10)
  return { requests, answer }
}

describe('Requests', () => {
  it('answers a change once its configuration is committed without an outgoing half', async () => {
    const { requests, answer } = start()
    let done = false
    void answer.then(() => {
      done = true
    })
    requests.onConfig({ ...asked, outgoing: ['a', 'x'] }, 10, true)
    requests.onConfig(asked, 11, false)
    await Promise.resolve()
    assert.equal(done, false)
    requests.onConfig(asked, 11, true)
    await answer
  })

  it('says that a change is lost when its entry was cut from the log, though no other change follows', async () => {
    const { requests, answer } = start()
    requests.onConfig(other, 4, true)
    await assert.rejects(answer, { name: 'ProposalLostError', index: 10 })
  })

  it('says that a change is lost when another stands in its place', async () => {
    const { requests, answer } = start()
    requests.onConfig(other, 10, true)
    await assert.rejects(answer, { name: 'ProposalLostError', index: 10 })
  })

  it('does not say so when a later configuration is another: this one may have come between', async () => {
    const { requests, answer } = start()
    requests.onConfig(other, 12, true)
    await assert.rejects(answer, { name: 'OutcomeUnknownError' })
  })
})
