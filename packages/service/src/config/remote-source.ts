/**
 * Fetches a configuration that `source` in `service.json` points to, so that many peers share one. Done at each start; called by `load.ts`.
 * A start without the answer fails: to go on with an older one would bring a peer up with, say, yesterday's secret.
 */

import { ConfigFolderError } from './errors.ts'

const timeoutMs = 30_000
/** A configuration is a few kilobytes; whoever answers with more is not a configuration server. */
const maxBytes = 1 << 20

/**
 * @param address http or https
 * @throws {ConfigFolderError} `CONFIG_UNREADABLE`
 */
export async function fetchSource(address: string, options: { readonly signal?: AbortSignal } = {}): Promise<string> {
  const refuse = (why: string, cause?: unknown) =>
    new ConfigFolderError('CONFIG_UNREADABLE', `cannot fetch the configuration from ${address}: ${why}`, { cause })
  if (!URL.canParse(address) || !/^https?:$/.test(new URL(address).protocol)) {
    throw refuse('it is not an http or https address')
  }
  const timeout = AbortSignal.timeout(timeoutMs)
  const signal = options.signal === undefined ? timeout : AbortSignal.any([options.signal, timeout])
  try {
    const response = await fetch(address, { signal })
    if (!response.ok) {
      await response.body?.cancel()
      throw refuse(`the answer was ${response.status} ${response.statusText}`)
    }
    const chunks: Uint8Array[] = []
    let length = 0
    for await (const chunk of response.body ?? []) {
      length += chunk.byteLength
      if (length > maxBytes) throw refuse(`the answer is longer than ${maxBytes} bytes`)
      chunks.push(chunk)
    }
    return new TextDecoder().decode(Buffer.concat(chunks))
  } catch (error) {
    if (error instanceof ConfigFolderError) throw error
    options.signal?.throwIfAborted()
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error)
    throw refuse(timeout.aborted ? `no answer within ${timeoutMs / 1000} s` : cause, error)
  }
}
