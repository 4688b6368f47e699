import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Health } from '../../src/core/types.ts'
import { HealthMonitor } from '../../src/driver/health.ts'
import { ManualClock } from '../support/manual-clock.ts'

const TICK_MS = 25
const TIMEOUT_MS = 450

class Patient {
  readonly clock = new ManualClock()
  readonly changes: Health[] = []
  readonly monitor: HealthMonitor
  #finish: (() => void)[] = []

  constructor() {
    this.monitor = new HealthMonitor({
      clock: this.clock,
      electionTimeoutMs: TIMEOUT_MS,
      tickMs: TICK_MS,
      onChanged: (health) => this.changes.push(health)
    })
    this.monitor.tick()
  }

  /** Time passes, with a timer every so often. */
  live(ms: number, everyMs = TICK_MS): void {
    for (let passed = 0; passed < ms; passed += everyMs) {
      this.clock.jump(everyMs)
      this.monitor.tick()
    }
  }

  readonly #storage = this.#watched()

  #watched(): { persist: (batch: never) => Promise<void> } {
    const held = { persist: () => new Promise<void>((resolve) => this.#finish.push(resolve)) }
    return { persist: (batch) => this.monitor.watch(held).persist(batch) }
  }

  /** One write that takes so long. */
  async write(ms: number): Promise<void> {
    const done = this.#storage.persist({ hardState: undefined, truncateFrom: undefined, entries: [] } as never)
    this.live(ms)
    for (const finish of this.#finish.splice(0)) finish()
    await done
  }

  /** One write that the disk does at once, while the loop stands still for so long. */
  async writeDuringPause(ms: number): Promise<void> {
    const done = this.#storage.persist({ hardState: undefined, truncateFrom: undefined, entries: [] } as never)
    this.clock.jump(ms)
    for (const finish of this.#finish.splice(0)) finish()
    await done
    this.monitor.tick()
  }

  /** A write that does not end. */
  hang(): void {
    void this.#storage.persist({ hardState: undefined, truncateFrom: undefined, entries: [] } as never)
  }
}

describe('HealthMonitor', () => {
  it('is good while writes are quick and timers in time', async () => {
    const patient = new Patient()
    for (let i = 0; i < 200; i++) await patient.write(TICK_MS)
    assert.equal(patient.monitor.health, 'good')
    assert.deepEqual(patient.changes, [])
  })

  it('gets worse while a write hangs, before it has taken an election timeout', () => {
    const patient = new Patient()
    patient.hang()
    patient.live(200)
    assert.deepEqual(patient.changes, [])
    patient.live(50)
    assert.deepEqual(patient.changes, ['degraded'])
    patient.live(150)
    assert.deepEqual(patient.changes, ['degraded', 'unfit'])
  })

  it('does not mind one slow write', async () => {
    const patient = new Patient()
    await patient.write(200)
    for (let i = 0; i < 20; i++) await patient.write(TICK_MS)
    assert.deepEqual(patient.changes, [])
  })

  it('minds slow writes that come again and again, also few', async () => {
    const patient = new Patient()
    for (let i = 0; i < 5; i++) await patient.write(200)
    assert.deepEqual(patient.changes, ['degraded'])
  })

  it('is well again only after it was so for ten election timeouts', async () => {
    const patient = new Patient()
    for (let i = 0; i < 5; i++) await patient.write(200)
    assert.equal(patient.monitor.health, 'degraded')
    for (let i = 0; i < 100; i++) await patient.write(TICK_MS)
    assert.equal(patient.monitor.health, 'degraded')
    for (let i = 0; i < 1000; i++) await patient.write(TICK_MS)
    assert.deepEqual(patient.changes, ['degraded', 'good'])
  })

  it('minds an event loop that is late all the time, and not one pause', () => {
    const pausing = new Patient()
    pausing.live(1000)
    pausing.live(400, 400)
    pausing.live(1000)
    assert.deepEqual(pausing.changes, [])
    const late = new Patient()
    late.live(20_000, TICK_MS + 200)
    assert.deepEqual(late.changes, ['degraded'])
  })

  it('is not made unfit by a late event loop, however late, since all that run on the machine are as late', () => {
    const late = new Patient()
    late.live(60_000, 2 * TIMEOUT_MS)
    assert.deepEqual(late.changes, ['degraded'])
  })

  it('does not take the time for which the event loop was late for that of the disk', async () => {
    const patient = new Patient()
    for (let i = 0; i < 20; i++) {
      await patient.write(TICK_MS)
      await patient.writeDuringPause(400)
      patient.live(2000)
    }
    assert.deepEqual(patient.changes, [])
  })

  it('is degraded while the disk is nearly full, and unfit when nothing is left', () => {
    const patient = new Patient()
    patient.monitor.setSpace('low')
    patient.live(TICK_MS)
    assert.deepEqual(patient.changes, ['degraded'])
    patient.monitor.setSpace('none')
    patient.live(TICK_MS)
    assert.deepEqual(patient.changes, ['degraded', 'unfit'])
    patient.monitor.setSpace('enough')
    patient.live(TIMEOUT_MS * 10)
    assert.equal(patient.monitor.health, 'unfit')
    patient.live(2 * TICK_MS)
    assert.deepEqual(patient.changes, ['degraded', 'unfit', 'good'])
  })
})
