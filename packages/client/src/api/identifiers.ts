/**
 * CIDs, peer IDs, multiaddrs and content paths in their one canonical text form, so that the rest of the code compares them as
 * strings. The codecs, the query readers and the command line call it with text from outside; everything behind them may trust the result.
 *
 * Multiaddrs are checked as text: each protocol known, each value present and of the right form. Turning them into bytes is libp2p's
 * business, and keeping that out makes this package fit for a browser and quick to load.
 *
 * @see https://github.com/multiformats/cid
 * @see https://github.com/libp2p/specs/blob/master/peer-ids/peer-ids.md
 * @see https://github.com/multiformats/multiaddr/blob/master/protocols.csv
 */

import { base16, base16upper } from 'multiformats/bases/base16'
import { base32, base32upper } from 'multiformats/bases/base32'
import { base36 } from 'multiformats/bases/base36'
import { base58btc } from 'multiformats/bases/base58'
import { base64, base64url } from 'multiformats/bases/base64'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import type { CidString, MultiaddrString, PeerIdString } from './types.ts'

/** Longest text that is looked at; far above the longest real one, and short enough that base conversion cannot hold up a server. */
const maxCidLength = 512
const maxPeerIdLength = 128
const maxMultiaddrLength = 2048
const maxPathLength = 4096

const anyBase = base32.decoder
  .or(base58btc.decoder)
  .or(base36.decoder)
  .or(base16.decoder)
  .or(base16upper.decoder)
  .or(base32upper.decoder)
  .or(base64.decoder)
  .or(base64url.decoder)

const libp2pKeyCodec = 0x72
const identityHash = 0x00
const sha256Hash = 0x12

function shown(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)
}

/** A CID in any base; a version 1 comes back in base32, a version 0 as it is. @throws {SyntaxError} */
export function parseCid(text: string): CidString {
  return decodeCid(text).toString()
}

function decodeCid(text: string): CID {
  if (text.length < 2) throw new SyntaxError(`invalid CID ${shown(text)}: too short`)
  if (text.length > maxCidLength)
    throw new SyntaxError(`invalid CID ${shown(text)}: longer than ${maxCidLength} characters`)
  try {
    // CID.parse knows base32, base36 and base58btc by itself, and a version 0 only without a base given.
    if (/^(Q|b|z|k)/.test(text)) return CID.parse(text)
    return CID.parse(text, anyBase)
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error)
    throw new SyntaxError(`invalid CID ${shown(text)}: ${reason}`, { cause: error })
  }
}

/** Peer IDs repeat in every item of a list; a few hundred are the most that a cluster has. */
const knownPeerIds = new Map<string, PeerIdString>()
const maxKnownPeerIds = 1024

/** `12D3Koo…`, `Qm…`, or the same as a CID of a libp2p key; comes back in base58btc. @throws {SyntaxError} */
export function parsePeerId(text: string): PeerIdString {
  const known = knownPeerIds.get(text)
  if (known !== undefined) return known
  const id = decodePeerId(text)
  if (knownPeerIds.size >= maxKnownPeerIds) knownPeerIds.clear()
  knownPeerIds.set(text, id)
  return id
}

function decodePeerId(text: string): PeerIdString {
  const fail = (reason: string, cause?: unknown): never => {
    throw new SyntaxError(`invalid peer ID ${shown(text)}: ${reason}`, { cause })
  }
  if (text === '') fail('empty')
  if (text.length > maxPeerIdLength) fail(`longer than ${maxPeerIdLength} characters`)
  let digest: Digest.Digest<number, number>
  try {
    if (/^(Qm|1)/.test(text)) digest = Digest.decode(base58btc.baseDecode(text))
    else {
      const cid = decodeCid(text)
      if (cid.version !== 1 || cid.code !== libp2pKeyCodec) fail('a CID, but not of a libp2p key')
      digest = Digest.decode(cid.multihash.bytes)
    }
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error), error)
  }
  // A hash of the key, or the key itself if it has at most 42 bytes.
  const sound = digest.code === sha256Hash ? digest.size === 32 : digest.code === identityHash && digest.size <= 42
  if (!sound || digest.size === 0) fail(`neither a SHA-256 hash nor a short key`)
  return base58btc.baseEncode(digest.bytes)
}

// --- multiaddrs -------------------------------------------------------------------------------------------------------------

function isIp4(text: string): boolean {
  return /^(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}$/.test(text) && text.split('.').every((part) => Number(part) <= 255)
}

function isIp6(text: string): boolean {
  const halves = text.split('::')
  if (halves.length > 2) return false
  let groups = 0
  for (const [index, half] of halves.entries()) {
    const parts = half === '' ? [] : half.split(':')
    for (const [at, part] of parts.entries()) {
      const isLast = index === halves.length - 1 && at === parts.length - 1
      if (isLast && part.includes('.') && isIp4(part)) groups += 2
      else if (/^[\da-f]{1,4}$/i.test(part)) groups++
      else return false
    }
  }
  return halves.length === 2 ? groups <= 7 : groups === 8
}

const isHost = (text: string): boolean => text.length <= 253 && /^[^\s/]+$/.test(text)
const isPort = (text: string): boolean => /^\d{1,5}$/.test(text) && Number(text) <= 65_535
const isToken = (text: string): boolean => /^[^\s/]+$/.test(text)

/** Protocol to the check of its value; null: it has none. */
const protocols: ReadonlyMap<string, ((value: string) => boolean) | null> = new Map<
  string,
  ((value: string) => boolean) | null
>([
  ['ip4', isIp4],
  ['ip6', isIp6],
  ['ip6zone', isToken],
  ['ipcidr', (value) => /^\d{1,3}$/.test(value) && Number(value) <= 128],
  ['dns', isHost],
  ['dns4', isHost],
  ['dns6', isHost],
  ['dnsaddr', isHost],
  ['tcp', isPort],
  ['udp', isPort],
  ['dccp', isPort],
  ['sctp', isPort],
  ['sni', isHost],
  ['certhash', isToken],
  ['onion3', isToken],
  ['garlic64', isToken],
  ['garlic32', isToken],
  ['http-path', isToken],
  ['memory', isToken],
  ...[
    'quic',
    'quic-v1',
    'ws',
    'wss',
    'tls',
    'noise',
    'http',
    'https',
    'p2p-circuit',
    'webtransport',
    'webrtc',
    'webrtc-direct',
    'p2p-webrtc-direct',
    'p2p-webrtc-star',
    'p2p-websocket-star',
    'p2p-stardust',
    'udt',
    'utp',
    'plaintextv2'
  ].map((name) => [name, null] as const)
])

export interface MultiaddrPart {
  readonly protocol: string
  /** Undefined for protocols without one. */
  readonly value: string | undefined
}

/** The parts of a multiaddr in order, values checked and peer IDs canonical. @throws {SyntaxError} */
export function splitMultiaddr(text: string): MultiaddrPart[] {
  const fail = (reason: string, cause?: unknown): never => {
    throw new SyntaxError(`invalid multiaddr ${shown(text)}: ${reason}`, { cause })
  }
  if (!text.startsWith('/')) fail('it must begin with "/", like "/ip4/127.0.0.1/tcp/9094"')
  if (text.length > maxMultiaddrLength) fail(`longer than ${maxMultiaddrLength} characters`)
  const words = text.replace(/\/+$/, '').split('/').slice(1)
  if (words.length === 0) fail('empty')
  const parts: MultiaddrPart[] = []
  for (let at = 0; at < words.length; at++) {
    const protocol = words[at] as string
    if (protocol === 'unix') {
      // A path swallows the rest.
      if (at + 1 >= words.length) fail('"unix" needs a path')
      parts.push({ protocol, value: `/${words.slice(at + 1).join('/')}` })
      break
    }
    const isPeer = protocol === 'p2p' || protocol === 'ipfs'
    const check = isPeer ? isToken : protocols.get(protocol)
    if (check === undefined) fail(`unknown protocol ${shown(protocol)}`)
    if (check === null || check === undefined) {
      parts.push({ protocol, value: undefined })
      continue
    }
    const value = words[++at]
    if (value === undefined || !check(value)) {
      return fail(value === undefined ? `"${protocol}" needs a value` : `${shown(value)} is no value for "${protocol}"`)
    }
    if (!isPeer) parts.push({ protocol, value })
    else {
      try {
        parts.push({ protocol: 'p2p', value: parsePeerId(value) })
      } catch (error) {
        fail((error as Error).message, error)
      }
    }
  }
  return parts
}

export function joinMultiaddr(parts: readonly MultiaddrPart[]): MultiaddrString {
  let text = ''
  for (const { protocol, value } of parts) {
    text += `/${protocol}`
    if (value !== undefined) text += protocol === 'unix' ? value : `/${value}`
  }
  return text
}

/** @throws {SyntaxError} */
export function parseMultiaddr(text: string): MultiaddrString {
  return joinMultiaddr(splitMultiaddr(text))
}

// --- content paths ----------------------------------------------------------------------------------------------------------

/** `/ipfs/<cid>/a/b`, `/ipld/<cid>/…` or `/ipns/<name>/…`, apart. */
export interface ContentPath {
  readonly namespace: 'ipfs' | 'ipns' | 'ipld'
  /** Canonical CID; a name or key under `ipns`. */
  readonly root: string
  /** Below the root; empty for the root itself. Neither empty, nor `.` nor `..`. */
  readonly segments: readonly string[]
}

/**
 * `..` goes one up and `.` and empty segments vanish, but never above the root.
 *
 * @throws {SyntaxError} unless it begins with a known namespace and has a root
 */
export function parseContentPath(text: string): ContentPath {
  if (text.length > maxPathLength)
    throw new SyntaxError(`invalid path ${shown(text)}: longer than ${maxPathLength} characters`)
  const [lead, namespace, root, ...rest] = text.split('/')
  if (lead !== '' || (namespace !== 'ipfs' && namespace !== 'ipns' && namespace !== 'ipld')) {
    throw new SyntaxError(`invalid path ${shown(text)}: it must begin with "/ipfs/", "/ipns/" or "/ipld/"`)
  }
  if (root === undefined || root === '')
    throw new SyntaxError(`invalid path ${shown(text)}: nothing after "/${namespace}/"`)
  const segments: string[] = []
  for (const segment of rest) {
    if (segment === '..') {
      if (segments.pop() === undefined) throw new SyntaxError(`invalid path ${shown(text)}: ".." leads above its root`)
    } else if (segment !== '' && segment !== '.') segments.push(segment)
  }
  if (namespace === 'ipns') return { namespace, root, segments }
  try {
    return { namespace, root: parseCid(root), segments }
  } catch (error) {
    throw new SyntaxError(`invalid path ${shown(text)}: ${(error as Error).message}`, { cause: error })
  }
}

export function formatContentPath(path: ContentPath): string {
  return ['', path.namespace, path.root, ...path.segments].join('/')
}
