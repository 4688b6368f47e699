/** Two processes with one identity, as a third sees them. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { multiaddr } from '@multiformats/multiaddr'
import { newSession, SESSION_PROTOCOL, Sessions } from '../../src/cluster-host/sessions.ts'
import { openHost } from '../rpc/hosts.ts'

describe('a session', () => {
  it('sorts by the time of its start, and is another at each start', () => {
    const sessions = [1, 1, 2_000, Date.UTC(2026, 0, 1), Date.UTC(2126, 0, 1)].map(newSession)
    assert.equal(new Set(sessions).size, sessions.length)
    assert.deepEqual([...sessions].sort().slice(2), sessions.slice(2))
    for (const session of sessions) assert.match(session, /^[0-9a-f]{32}$/)
  })
})

describe('two processes with one identity', () => {
  it('are seen by a third that is connected with both', async () => {
    const key = await generateKeyPair('Ed25519')
    await using first = await openHost({}, key)
    await using second = await openHost({}, key)
    await using third = await openHost()
    const olderSessions = new Sessions(first.libp2p, newSession(1_000))
    const newerSessions = new Sessions(second.libp2p, newSession(2_000))
    const watching = new Sessions(third.libp2p, newSession(3_000))
    await Promise.all([olderSessions, newerSessions].map((sessions) => sessions.start()))

    await first.libp2p.dial(multiaddr(third.address))
    assert.deepEqual(await watching.twinsOf(first.id, olderSessions.session), [])
    await second.libp2p.dial(multiaddr(third.address))
    const [seenByNewer, ...more] = await watching.twinsOf(first.id, newerSessions.session)
    assert.deepEqual([seenByNewer?.session, more], [olderSessions.session, []])
    assert.match(seenByNewer?.address ?? '', /^\/ip4\/127\.0\.0\.1\/tcp\/\d+/)
    assert.deepEqual(
      (await watching.twinsOf(first.id, olderSessions.session)).map(({ session }) => session),
      [newerSessions.session]
    )
  })

  it('are not seen in one process with several connections, or in one without the protocol', async () => {
    await using peer = await openHost()
    await using third = await openHost()
    const sessions = new Sessions(peer.libp2p, newSession(1_000))
    const watching = new Sessions(third.libp2p, newSession(3_000))
    assert.deepEqual(await watching.twinsOf(peer.id, sessions.session), [], 'without a connection')
    for (let i = 0; i < 2; i++) await peer.libp2p.dial(multiaddr(third.address), { force: true })
    assert.deepEqual(await watching.twinsOf(peer.id, sessions.session), [], 'without the protocol')
    await sessions.start()
    assert.deepEqual(await watching.twinsOf(peer.id, sessions.session), [])
    assert.equal((await watching.twinsOf(peer.id, '0'.repeat(32))).length, 1, 'one twin, however many connections')
    await sessions.stop()
    assert.equal(peer.libp2p.getProtocols().includes(SESSION_PROTOCOL), false)
  })

  it('of which one does not answer are no reason to wait for ever', async () => {
    await using peer = await openHost()
    await using third = await openHost()
    await peer.libp2p.handle(SESSION_PROTOCOL, (stream) => void stream.send(Buffer.from('short')))
    await peer.libp2p.dial(multiaddr(third.address))
    assert.deepEqual(await new Sessions(third.libp2p, newSession(1)).twinsOf(peer.id, '0'.repeat(32)), [])
  })
})
