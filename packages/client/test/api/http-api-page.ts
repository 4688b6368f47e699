/**
 * Prints the routes of `docs/http-api.md` from `client/src/api/routes.ts`. What a route is for and which parameters it reads is said
 * here; the types see to it that no route is left out, and the test that every parameter is one that the route reads.
 */

import { type Routes, routes } from '@quorate/client/api'
import { table } from './printed-page.ts'

export interface RouteNotes {
  readonly meaning: string
  /** Names in the query string. */
  readonly parameters: readonly string[]
}

const pinParameters = [
  'name',
  'mode',
  'replication',
  'replication-min',
  'replication-max',
  'user-allocations',
  'expire-at',
  'expire-in',
  'origins',
  'pin-update',
  'meta-<key>'
] as const

const addParameters = [
  ...pinParameters.filter((name) => name !== 'mode' && name !== 'pin-update'),
  'layout',
  'chunker',
  'hash',
  'format',
  'cid-version',
  'raw-leaves',
  'wrap-with-directory',
  'progress',
  'stream-channels',
  'no-pin'
]

const none: readonly string[] = []

export const notes: Readonly<Record<keyof Routes, RouteNotes>> = {
  id: { meaning: 'The peer that answers: identity, addresses, its IPFS node, the members.', parameters: none },
  version: { meaning: 'Its version.', parameters: none },
  health: { meaning: 'Answers while the peer runs.', parameters: none },
  peers: { meaning: 'Every member; one that cannot be reached has `error` set.', parameters: none },
  peerAdd: { meaning: 'Makes the peer with this ID a member, body `{"peer_id": "…"}`.', parameters: none },
  peerRemove: { meaning: 'Removes a member.', parameters: none },
  peersRaft: { meaning: 'How each member stands in the agreement. Not of IPFS Cluster’s API.', parameters: none },
  peersTransfer: {
    meaning: 'Hands leadership to the voter `to`, or to the best; answers who leads. Not of IPFS Cluster’s API.',
    parameters: ['to']
  },
  add: { meaning: 'Imports files and directories of a multipart form, and pins the root.', parameters: addParameters },
  allocations: { meaning: 'The pinset.', parameters: ['filter'] },
  allocation: { meaning: 'One pin of the pinset.', parameters: ['consistency'] },
  statusAll: { meaning: 'How the copies of all pins stand, or of some.', parameters: ['filter', 'cids', 'local'] },
  status: { meaning: 'How the copies of one CID stand.', parameters: ['local'] },
  pin: { meaning: 'Pins a CID.', parameters: pinParameters },
  pinIpfs: { meaning: 'Resolves a path, and pins what is at its end.', parameters: pinParameters },
  pinIpns: { meaning: 'The same for a path below `/ipns/`.', parameters: pinParameters },
  pinIpld: { meaning: 'The same for a path below `/ipld/`.', parameters: pinParameters },
  unpin: { meaning: 'Unpins; answers the pin as it was.', parameters: none },
  unpinIpfs: { meaning: 'Resolves a path, and unpins what is at its end.', parameters: none },
  unpinIpns: { meaning: 'The same for a path below `/ipns/`.', parameters: none },
  unpinIpld: { meaning: 'The same for a path below `/ipld/`.', parameters: none },
  recover: { meaning: 'Tries again at once what failed for this CID.', parameters: ['local'] },
  recoverAll: { meaning: 'Tries again at once all that failed.', parameters: ['local'] },
  repoGc: { meaning: 'Removes blocks that nothing pins from the IPFS nodes.', parameters: ['local'] },
  content: { meaning: 'The bytes of a file, from this peer’s IPFS node. Not of IPFS Cluster’s API.', parameters: none }
}

const answers = {
  object: 'one object',
  stream: 'an object a line',
  none: '204',
  add: 'an object a line, or an array',
  bytes: 'bytes'
} as const

export function routeTable(): string {
  const names = Object.keys(notes) as (keyof Routes)[]
  const parametersOf = (list: readonly string[]): string => {
    if (list === pinParameters) return 'those of a pin'
    if (list === addParameters) return 'those of a pin and of adding'
    return list.map((name) => `\`${name}\``).join(', ')
  }
  const rows = names.map((name) => {
    const { method, path, answer } = routes[name]
    return [
      `\`${method}\``,
      `\`${path}\``,
      parametersOf(notes[name].parameters),
      answers[answer.kind],
      notes[name].meaning
    ]
  })
  return table(['Method', 'Path', 'Parameters', 'Answer', 'What it does'], rows)
}
