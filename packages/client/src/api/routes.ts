/**
 * Every route of the HTTP API once, typed: the server registers them and the client calls them from here, so that neither can say
 * something that the other does not understand. Paths are written as fastify takes them: `:name` is one segment, `*` the rest.
 *
 * A reader of parameters throws {@link BadRequestError} with IPFS Cluster's messages before anything is done.
 *
 * @see https://ipfscluster.io/documentation/reference/api/
 */

import { addedOutputCodec, addedOutputsCodec, globalRepoGcCodec } from './add-codec.ts'
import { addOptionsQuery } from './add-options.ts'
import { BadRequestError } from './errors.ts'
import { formatContentPath, parseCid, parseContentPath, parsePeerId } from './identifiers.ts'
import type { Codec } from './json.ts'
import { peerAddCodec, peerInfoCodec, versionCodec } from './peer-codec.ts'
import { pinCodec } from './pin-codec.ts'
import { pinOptionsQuery } from './pin-options.ts'
import { listParameter, parseParameter, type QueryCodec, textParameter } from './query.ts'
import { type RaftLeader, type RaftPeer, raftLeaderCodec, raftPeerCodec } from './raft-codec.ts'
import { formatPinTypeFilter, formatStatusFilter, parsePinTypeFilter, parseStatusFilter } from './status.ts'
import { globalPinInfoCodec } from './status-codec.ts'
import type {
  AddedOutput,
  AddOptions,
  CidString,
  Consistency,
  GlobalPinInfo,
  GlobalRepoGc,
  PeerIdString,
  PeerInfo,
  Pin,
  PinOptions,
  PinType,
  TrackerStatus,
  VersionInfo
} from './types.ts'

/** Path parameters as a router finds them, percent-decoded; the rest of a path that ends in `*` is called `*`. */
export type RawParams = Readonly<Record<string, string | undefined>>

export interface ParamsCodec<T> {
  /** @throws {BadRequestError} */
  read(raw: RawParams): T
  /** The parameters as they go into the path, not yet percent-encoded. */
  write(params: T): RawParams
}

/** One JSON document; status 200. */
export interface ObjectAnswer<T> {
  readonly kind: 'object'
  readonly codec: Codec<T>
}
/** One document a line, with the trailer `X-Stream-Error`; status 200, with an empty body for no item. */
export interface StreamAnswer<T> {
  readonly kind: 'stream'
  readonly codec: Codec<T>
}
/** Nothing; status 204. */
export interface NoAnswer {
  readonly kind: 'none'
}
/** A stream, or with `stream-channels=false` one array. */
export interface AddAnswer {
  readonly kind: 'add'
  readonly codec: Codec<AddedOutput>
  readonly arrayCodec: Codec<readonly AddedOutput[]>
}
/** The bytes of a file, as they are; status 200. */
export interface BytesAnswer {
  readonly kind: 'bytes'
}
export type Answer = BytesAnswer | ObjectAnswer<unknown> | StreamAnswer<unknown> | NoAnswer | AddAnswer

export interface Route<Params, Query, Body, A> {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly path: string
  readonly params: ParamsCodec<Params>
  readonly query: QueryCodec<Query>
  /** `json` bodies are read with `bodyCodec`; `multipart` is an upload; bodies of other routes are ignored. */
  readonly body: 'none' | 'json' | 'multipart'
  readonly bodyCodec: Codec<Body> | undefined
  readonly answer: A
  /** True where no credentials are asked for. */
  readonly open: boolean
}

// --- parameters -------------------------------------------------------------------------------------------------------------

type None = Record<never, never>
const noParams: ParamsCodec<None> = { read: () => ({}), write: () => ({}) }
const noQuery: QueryCodec<None> = { read: () => ({}), write: () => new URLSearchParams() }

export interface CidParams {
  readonly cid: CidString
}
const cidParams: ParamsCodec<CidParams> = {
  read: (raw) => ({ cid: parseParameter(raw.cid ?? '', 'error decoding Cid', parseCid) }),
  write: ({ cid }) => ({ cid })
}

export interface PeerParams {
  readonly peer: PeerIdString
}
const peerParams: ParamsCodec<PeerParams> = {
  read: (raw) => ({ peer: parseParameter(raw.peer ?? '', 'error decoding Peer ID', parsePeerId) }),
  write: ({ peer }) => ({ peer })
}

export interface PathParams {
  /** `/ipfs/<cid>/a/b`, `/ipns/…` or `/ipld/…`, canonical. */
  readonly path: string
}

/** One route for each namespace, because a router matches fixed words before parameters. */
function pathParams(namespace: 'ipfs' | 'ipns' | 'ipld'): ParamsCodec<PathParams> {
  return {
    read: (raw) => ({
      path: parseParameter(`/${namespace}/${raw['*'] ?? ''}`, 'error parsing path', (text) =>
        formatContentPath(parseContentPath(text))
      )
    }),
    write: ({ path }) => ({ '*': path.slice(namespace.length + 2) })
  }
}

// --- queries ----------------------------------------------------------------------------------------------------------------

export interface LocalQuery {
  /** Ask this peer alone. Only the exact word `true` turns it on. */
  readonly local: boolean
}
function readLocal(query: URLSearchParams): boolean {
  return textParameter(query, 'local') === 'true'
}
const localQuery: QueryCodec<LocalQuery> = {
  read: (query) => ({ local: readLocal(query) }),
  write: ({ local }) => new URLSearchParams(local ? { local: 'true' } : {})
}

export interface StatusQuery extends LocalQuery {
  /** Undefined: every state. Not looked at when there are CIDs. */
  readonly filter: ReadonlySet<TrackerStatus> | undefined
  /** One item of the answer for each, twice if it is there twice; empty: the whole pinset. */
  readonly cids: readonly CidString[]
}
const statusQuery: QueryCodec<StatusQuery> = {
  read: (query) => {
    const cids = listParameter(query, 'cids', 'error decoding Cid', parseCid)
    return {
      local: readLocal(query),
      filter: cids.length > 0 ? undefined : parseStatusFilter(textParameter(query, 'filter')),
      cids
    }
  },
  write: ({ local, filter, cids }) => {
    const query = localQuery.write({ local })
    if (filter !== undefined) query.set('filter', formatStatusFilter(filter))
    if (cids.length > 0) query.set('cids', cids.join(','))
    return query
  }
}

export interface TransferQuery {
  /** Who is to lead; undefined: whoever can take over soonest. */
  readonly to: PeerIdString | undefined
}
const transferQuery: QueryCodec<TransferQuery> = {
  read: (query) => {
    const to = textParameter(query, 'to')
    return { to: to === '' ? undefined : parseParameter(to, 'error decoding Peer ID', parsePeerId) }
  },
  write: ({ to }) => new URLSearchParams(to === undefined ? {} : { to })
}

export interface AllocationsQuery {
  /** Undefined: every type. */
  readonly filter: ReadonlySet<PinType> | undefined
}
const allocationsQuery: QueryCodec<AllocationsQuery> = {
  read: (query) => ({ filter: parsePinTypeFilter(textParameter(query, 'filter')) }),
  write: ({ filter }) => new URLSearchParams({ filter: formatPinTypeFilter(filter) })
}

export interface ConsistencyQuery {
  readonly consistency: Consistency
}
const consistencyQuery: QueryCodec<ConsistencyQuery> = {
  read: (query) => {
    const text = textParameter(query, 'consistency') || 'default'
    if (text === 'default' || text === 'linearizable' || text === 'local') return { consistency: text }
    throw new BadRequestError(
      `parameter consistency invalid: ${JSON.stringify(text.slice(0, 80))} is none of default, linearizable, local`
    )
  },
  write: ({ consistency }) => new URLSearchParams(consistency === 'default' ? {} : { consistency })
}

// --- the table --------------------------------------------------------------------------------------------------------------

const objectOf = <T>(codec: Codec<T>): ObjectAnswer<T> => ({ kind: 'object', codec })
const streamOf = <T>(codec: Codec<T>): StreamAnswer<T> => ({ kind: 'stream', codec })
const nothing: NoAnswer = { kind: 'none' }
const added: AddAnswer = { kind: 'add', codec: addedOutputCodec, arrayCodec: addedOutputsCodec }

/** What most routes have. */
const plain = { params: noParams, query: noQuery, body: 'none', bodyCodec: undefined, open: false } as const

type PinPath = Route<PathParams, PinOptions, undefined, ObjectAnswer<Pin>>
type UnpinPath = Route<PathParams, None, undefined, ObjectAnswer<Pin>>

function pinPath(namespace: 'ipfs' | 'ipns' | 'ipld'): PinPath {
  const path = `/pins/${namespace}/*`
  return {
    ...plain,
    method: 'POST',
    path,
    params: pathParams(namespace),
    query: pinOptionsQuery,
    answer: objectOf(pinCodec)
  }
}

function unpinPath(namespace: 'ipfs' | 'ipns' | 'ipld'): UnpinPath {
  const path = `/pins/${namespace}/*`
  return { ...plain, method: 'DELETE', path, params: pathParams(namespace), answer: objectOf(pinCodec) }
}

/** The routes by name. */
export interface Routes {
  readonly id: Route<None, None, undefined, ObjectAnswer<PeerInfo>>
  readonly version: Route<None, None, undefined, ObjectAnswer<VersionInfo>>
  readonly health: Route<None, None, undefined, NoAnswer>
  readonly peers: Route<None, None, undefined, StreamAnswer<PeerInfo>>
  readonly peerAdd: Route<None, None, { readonly peerId: PeerIdString }, ObjectAnswer<PeerInfo>>
  readonly peerRemove: Route<PeerParams, None, undefined, NoAnswer>
  /** How each member stands in the agreement; not of IPFS Cluster's API. */
  readonly peersRaft: Route<None, None, undefined, StreamAnswer<RaftPeer>>
  /** Hands leadership over; answers who leads then. Not of IPFS Cluster's API. */
  readonly peersTransfer: Route<None, TransferQuery, undefined, ObjectAnswer<RaftLeader>>
  readonly add: Route<None, AddOptions, undefined, AddAnswer>
  readonly allocations: Route<None, AllocationsQuery, undefined, StreamAnswer<Pin>>
  readonly allocation: Route<CidParams, ConsistencyQuery, undefined, ObjectAnswer<Pin>>
  readonly statusAll: Route<None, StatusQuery, undefined, StreamAnswer<GlobalPinInfo>>
  readonly status: Route<CidParams, LocalQuery, undefined, ObjectAnswer<GlobalPinInfo>>
  readonly pin: Route<CidParams, PinOptions, undefined, ObjectAnswer<Pin>>
  readonly pinIpfs: PinPath
  readonly pinIpns: PinPath
  readonly pinIpld: PinPath
  /** Answers the pin as it was. */
  readonly unpin: Route<CidParams, None, undefined, ObjectAnswer<Pin>>
  readonly unpinIpfs: UnpinPath
  readonly unpinIpns: UnpinPath
  readonly unpinIpld: UnpinPath
  readonly recover: Route<CidParams, LocalQuery, undefined, ObjectAnswer<GlobalPinInfo>>
  readonly recoverAll: Route<None, LocalQuery, undefined, StreamAnswer<GlobalPinInfo>>
  readonly repoGc: Route<None, LocalQuery, undefined, ObjectAnswer<GlobalRepoGc>>
  /** A file of this peer's IPFS node; not of IPFS Cluster's API. */
  readonly content: Route<PathParams, None, undefined, BytesAnswer>
}

export const routes: Routes = {
  id: { ...plain, method: 'GET', path: '/id', answer: objectOf(peerInfoCodec) },
  version: { ...plain, method: 'GET', path: '/version', answer: objectOf(versionCodec) },
  health: { ...plain, method: 'GET', path: '/health', answer: nothing, open: true },
  peers: { ...plain, method: 'GET', path: '/peers', answer: streamOf(peerInfoCodec) },
  peerAdd: {
    ...plain,
    method: 'POST',
    path: '/peers',
    body: 'json',
    bodyCodec: peerAddCodec,
    answer: objectOf(peerInfoCodec)
  },
  peerRemove: { ...plain, method: 'DELETE', path: '/peers/:peer', params: peerParams, answer: nothing },
  peersRaft: { ...plain, method: 'GET', path: '/peers/raft', answer: streamOf(raftPeerCodec) },
  peersTransfer: {
    ...plain,
    method: 'POST',
    path: '/peers/transfer',
    query: transferQuery,
    answer: objectOf(raftLeaderCodec)
  },
  add: { ...plain, method: 'POST', path: '/add', query: addOptionsQuery, body: 'multipart', answer: added },
  allocations: { ...plain, method: 'GET', path: '/allocations', query: allocationsQuery, answer: streamOf(pinCodec) },
  allocation: {
    ...plain,
    method: 'GET',
    path: '/allocations/:cid',
    params: cidParams,
    query: consistencyQuery,
    answer: objectOf(pinCodec)
  },
  statusAll: { ...plain, method: 'GET', path: '/pins', query: statusQuery, answer: streamOf(globalPinInfoCodec) },
  status: {
    ...plain,
    method: 'GET',
    path: '/pins/:cid',
    params: cidParams,
    query: localQuery,
    answer: objectOf(globalPinInfoCodec)
  },
  pin: {
    ...plain,
    method: 'POST',
    path: '/pins/:cid',
    params: cidParams,
    query: pinOptionsQuery,
    answer: objectOf(pinCodec)
  },
  pinIpfs: pinPath('ipfs'),
  pinIpns: pinPath('ipns'),
  pinIpld: pinPath('ipld'),
  unpin: { ...plain, method: 'DELETE', path: '/pins/:cid', params: cidParams, answer: objectOf(pinCodec) },
  unpinIpfs: unpinPath('ipfs'),
  unpinIpns: unpinPath('ipns'),
  unpinIpld: unpinPath('ipld'),
  recover: {
    ...plain,
    method: 'POST',
    path: '/pins/:cid/recover',
    params: cidParams,
    query: localQuery,
    answer: objectOf(globalPinInfoCodec)
  },
  recoverAll: {
    ...plain,
    method: 'POST',
    path: '/pins/recover',
    query: localQuery,
    answer: streamOf(globalPinInfoCodec)
  },
  repoGc: { ...plain, method: 'POST', path: '/ipfs/gc', query: localQuery, answer: objectOf(globalRepoGcCodec) },
  content: { ...plain, method: 'GET', path: '/ipfs/*', params: pathParams('ipfs'), answer: { kind: 'bytes' } }
}

/** Path and query of a call, percent-encoded; begins with `/`. */
export function routeTarget<Params, Query, Body, A>(
  route: Route<Params, Query, Body, A>,
  params: Params,
  query: Query
): string {
  const raw = route.params.write(params)
  const path = route.path
    .split('/')
    .map((segment) => {
      if (segment === '*') return (raw['*'] ?? '').toWellFormed().split('/').map(encodeURIComponent).join('/')
      return segment.startsWith(':') ? encodeURIComponent(raw[segment.slice(1)] ?? '') : segment
    })
    .join('/')
  const search = route.query.write(query).toString()
  return search === '' ? path : `${path}?${search}`
}
