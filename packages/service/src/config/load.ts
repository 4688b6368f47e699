/**
 * Reads `service.json`, from the folder or from the address that its `source` names, with the environment on top, and checks all of it.
 * Called by the daemon at its start, and by `init` to check what it is about to write.
 *
 * A file of IPFS Cluster in raft mode is read as it is. One in crdt mode is refused, since there is no log to take over.
 */

import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { applyEnvironment, type Environment } from './environment.ts'
import { ConfigError, ConfigFolderError, type ConfigProblem } from './errors.ts'
import type { JsonObject, JsonValue, Shape, Values } from './field.ts'
import { type Findings, parseSection, show, unknownKey } from './parse.ts'
import { fetchSource } from './remote-source.ts'
import {
  type IpfsConnectorSection,
  ignoredPlaces,
  isObject,
  objectAt,
  rules,
  type SectionName,
  type SectionSpec,
  type ServiceConfig,
  sections
} from './schema.ts'

export const configFileName = 'service.json'

const crdtAdvice =
  'Quorate agrees by raft and cannot read the state of a crdt peer. Write its pins out with `ipfs-cluster-service state export`, ' +
  'make a new folder with `quorate-service init`, and pin what was written out through the new cluster'

/** How `init` is told to make a file; the advice for a folder without one. */
const initAdvice = 'make one with `quorate-service init`'

/**
 * @param folder the configuration folder
 * @param env the environment, as `process.env`
 * @throws {ConfigFolderError} `NO_CONFIG` or `CONFIG_UNREADABLE`, when there is no file, or it or its source cannot be read
 * @throws {ConfigError} when it can be read and says something that is not allowed; all of that at once
 */
export async function loadConfig(
  folder: string,
  env: Environment,
  options: { readonly signal?: AbortSignal } = {}
): Promise<ServiceConfig> {
  const file = join(resolve(folder), configFileName)
  const local = parseJson(await readConfigFile(file), file)
  const source = local.source
  if (source === undefined || source === null || source === '') return readDocument(local, folder, env, file)
  if (typeof source !== 'string') {
    throw new ConfigError(file, [
      { path: 'source', value: show(source), reason: 'it must be an http or https address' }
    ])
  }
  const fetched = parseJson(await fetchSource(source, options), source)
  if (fetched.source !== undefined && fetched.source !== null && fetched.source !== '') {
    throw new ConfigError(source, [
      { path: 'source', value: show(fetched.source), reason: 'a source that was fetched must not name another' }
    ])
  }
  const config = readDocument(fetched, folder, env, source)
  const ignored = Object.keys(local).filter((key) => key !== 'source')
  if (ignored.length === 0) return { ...config, source }
  const warning = `${file} names a source, so its other keys are ignored: ${ignored.join(', ')}`
  return { ...config, source, warnings: [warning, ...config.warnings] }
}

async function readConfigFile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    const why = missing ? `there is no such file; ${initAdvice}` : String(error)
    throw new ConfigFolderError(missing ? 'NO_CONFIG' : 'CONFIG_UNREADABLE', `cannot read ${file}: ${why}`, {
      cause: error
    })
  }
}

function parseJson(text: string, where: string): JsonObject {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    // The parser's message quotes the text around the fault, and that may be a secret.
    const position = /position \d+(?: \(line \d+ column \d+\))?/.exec(String(error))?.[0]
    const message = `cannot read ${where}: it is not JSON${position === undefined ? '' : `, at ${position}`}`
    throw new ConfigFolderError('CONFIG_UNREADABLE', message)
  }
  if (!isObject(value)) {
    throw new ConfigFolderError('CONFIG_UNREADABLE', `cannot read ${where}: it is not a JSON object`)
  }
  return value
}

/**
 * Checks a document and gives it its type.
 *
 * @param document as parsed from JSON; it is not changed
 * @param where the file or address it came from, for messages
 * @throws {ConfigError}
 */
export function readDocument(document: JsonObject, folder: string, env: Environment, where: string): ServiceConfig {
  const json = structuredClone(document)
  const problems: ConfigProblem[] = checkLayout(json)
  const { variableOf, warnings } = applyEnvironment(json, env)
  const findings: Findings = { problems, warnings: [...unknownPlaces(json), ...warnings], variableOf }
  const context = { folder: resolve(folder) }

  const read = <S extends Shape>(name: SectionName, shape: S): Values<S> => {
    const section: SectionSpec = sections[name]
    const found = objectAt(json, section.path) ?? {}
    return parseSection(shape, found, section.path.join('.'), context, findings, section.otherKeys)
  }
  const readIfPresent = <S extends Shape>(name: SectionName, shape: S): Values<S> | undefined =>
    objectAt(json, sections[name].path) === undefined ? undefined : read(name, shape)

  const cluster = read('cluster', sections.cluster.shape)
  const raft = read('raft', sections.raft.shape)
  const restapi = readIfPresent('restapi', sections.restapi.shape)
  const pinsvcapi = readIfPresent('pinsvcapi', sections.pinsvcapi.shape)
  const ipfsproxy = readIfPresent('ipfsproxy', sections.ipfsproxy.shape)
  const balanced = readIfPresent('balanced', sections.balanced.shape)
  const ipfsConnector: IpfsConnectorSection =
    objectAt(json, sections.embedded.path) === undefined
      ? { kind: 'ipfshttp', ...read('ipfshttp', sections.ipfshttp.shape) }
      : { kind: 'embedded', ...read('embedded', sections.embedded.shape) }
  const config: ServiceConfig = {
    folder: context.folder,
    source: undefined,
    warnings: findings.warnings,
    cluster: { ...cluster, listenMultiaddress: tcpOnly(cluster.listenMultiaddress, findings) },
    consensus: { raft },
    api: { restapi, pinsvcapi, ipfsproxy },
    ipfsConnector,
    pinTracker: { stateless: read('stateless', sections.stateless.shape) },
    monitor: { pubsubmon: read('pubsubmon', sections.pubsubmon.shape) },
    // As in IPFS Cluster: whoever takes the section out has no tags in mind.
    allocator: { balanced: balanced ?? { allocateBy: ['freespace'] } },
    informer: {
      disk: readIfPresent('disk', sections.disk.shape),
      tags: readIfPresent('tags', sections.tags.shape),
      pinqueue: readIfPresent('pinqueue', sections.pinqueue.shape)
    },
    observations: {
      metrics: read('metrics', sections.metrics.shape),
      tracing: read('tracing', sections.tracing.shape)
    }
  }
  checkRules('cluster', rules.cluster(config.cluster), findings)
  checkRules('raft', rules.raft(raft), findings)
  if (restapi !== undefined) checkRules('restapi', rules.restapi(restapi), findings)
  if (pinsvcapi !== undefined) checkRules('pinsvcapi', rules.pinsvcapi(pinsvcapi), findings)
  if (problems.length > 0) throw new ConfigError(where, problems, findings.warnings)
  warnAboutMeaning(config, findings)
  return config
}

/** Which sections must be there, and which must not. */
function checkLayout(json: JsonObject): ConfigProblem[] {
  const problems: ConfigProblem[] = []
  const has = (...path: string[]) => objectAt(json, path) !== undefined
  const places: Iterable<SectionSpec> = Object.values(sections)
  for (const { path } of places) {
    for (let depth = 1; depth <= path.length; depth++) {
      const place = path.slice(0, depth)
      const above = objectAt(json, place.slice(0, -1))
      const value: JsonValue = above?.[place.at(-1) ?? ''] ?? null
      const name = place.join('.')
      if (value === null || isObject(value) || problems.some((problem) => problem.path === name)) continue
      problems.push({ path: name, value: show(value), reason: 'it must be an object' })
    }
  }
  if ((json.cluster ?? null) === null) {
    problems.push({ path: 'cluster', value: undefined, reason: 'the section is missing' })
  }
  if (has('consensus', 'crdt')) {
    problems.push({ path: 'consensus.crdt', value: undefined, reason: crdtAdvice })
  } else if (!has('consensus', 'raft')) {
    problems.push({ path: 'consensus.raft', value: undefined, reason: 'the section is missing' })
  }
  if (has('ipfs_connector', 'embedded') === has('ipfs_connector', 'ipfshttp')) {
    const reason = has('ipfs_connector', 'embedded')
      ? 'both embedded and ipfshttp are there; keep embedded for the IPFS node inside the peer, or ipfshttp for a Kubo daemon'
      : 'one of embedded (the IPFS node inside the peer) and ipfshttp (a Kubo daemon) must be there'
    problems.push({ path: 'ipfs_connector', value: undefined, reason })
  }
  if (!has('informer', 'disk') && !has('informer', 'tags') && !has('informer', 'pinqueue')) {
    problems.push({ path: 'informer', value: undefined, reason: 'one of disk, tags and pinqueue must be there' })
  }
  return problems
}

/** Names the top-level keys and components that nobody knows. */
function unknownPlaces(json: JsonObject): string[] {
  const places = [
    ...Object.values<SectionSpec>(sections).map(({ path }) => path),
    ...ignoredPlaces.map(({ path }) => path),
    ['consensus', 'crdt'] as const,
    ['source'] as const
  ]
  const warnings: string[] = []
  for (const [key, value] of Object.entries(json)) {
    const below = places.filter(([first]) => first === key)
    if (below.length === 0) {
      warnings.push(unknownKey(key, key, new Set(places.map(([first]) => first ?? ''))))
      continue
    }
    if (!isObject(value) || below.some((path) => path.length === 1)) continue
    const known = new Set(below.map(([, second]) => second ?? ''))
    for (const component of Object.keys(value)) {
      if (!known.has(component)) warnings.push(unknownKey(`${key}.${component}`, component, known))
    }
  }
  return warnings
}

function checkRules(
  name: SectionName,
  faults: readonly { readonly key: string; readonly reason: string }[],
  { problems }: Findings
): void {
  const section = sections[name].path.join('.')
  // A key that was refused has its default in its place, and what that breaks is nobody's fault.
  if (problems.some(({ path }) => path.startsWith(`${section}.`))) return
  for (const { key, reason } of faults) problems.push({ path: `${section}.${key}`, value: undefined, reason })
}

/** IPFS Cluster lists a QUIC address by default and listens to TCP and WebSocket; this network is TCP alone. */
function tcpOnly(listen: readonly string[], { problems, warnings }: Findings): readonly string[] {
  const usable = listen.filter((address) => /^\/(?:ip4|ip6|dns|dns4|dns6)\/[^/]+\/tcp\/\d+$/.test(address))
  const path = 'cluster.listen_multiaddress'
  for (const address of listen) {
    if (!usable.includes(address) && !/\/udp\/\d+\/quic/.test(address)) {
      warnings.push(`${path}: ${address} is not a TCP address, and is passed over`)
    }
  }
  if (usable.length === 0 && !problems.some((problem) => problem.path.startsWith(path))) {
    problems.push({ path, value: show([...listen]), reason: 'it must hold at least one TCP address' })
  }
  return usable
}

/** What is allowed and is likely not what was meant. */
function warnAboutMeaning({ cluster, api }: ServiceConfig, { warnings }: Findings): void {
  if (cluster.secret === undefined) {
    warnings.push('cluster.secret is empty: anybody who reaches this peer can join its network')
  }
  if (!cluster.disableRepinning) {
    warnings.push(
      'cluster.disable_repinning is false, and this version does not move pins when a peer fails: pin again to move them'
    )
  }
  if (api.pinsvcapi !== undefined) warnings.push('api.pinsvcapi: this version does not serve the Pinning Services API')
  if (api.ipfsproxy !== undefined) warnings.push('api.ipfsproxy: this version does not serve the IPFS proxy')
}
