/**
 * Streams of JSON, one document a line: how lists travel. A failure after the first item can only be told in the trailer
 * `X-Stream-Error`, which carries an empty value when all went well.
 *
 * The server writes lines with {@link encodeLine}; the client reads them with {@link decodeLines}.
 */

import { type Codec, DecodeError, encodeJson, parseJson } from './json.ts'

/** Most bytes of one line that the reader takes; a pin with a full map of states is some hundred kilobytes at the very most. */
export const maxLineBytes = 16 * 1024 * 1024

export function encodeLine<T>(codec: Codec<T>, value: T): string {
  return `${encodeJson(codec.encode(value))}\n`
}

/**
 * Empty lines are passed over, and the last line needs no newline.
 *
 * @throws {DecodeError} when a line is too long or not the JSON of `codec`; whatever the source throws
 */
export async function* decodeLines<T>(codec: Codec<T>, source: AsyncIterable<Uint8Array>): AsyncGenerator<T> {
  const decoder = new TextDecoder()
  let rest = ''
  let at = 0
  for await (const chunk of source) {
    // Searching from where the last chunk ended keeps a long line from costing the square of its length.
    at = rest.length
    rest += decoder.decode(chunk, { stream: true })
    let start = 0
    for (let end = rest.indexOf('\n', at); end !== -1; end = rest.indexOf('\n', start)) {
      const line = rest.slice(start, end)
      start = end + 1
      if (line.trim() !== '') yield codec.decode(parseJson(line, 'a line of the stream'))
    }
    rest = rest.slice(start)
    if (rest.length > maxLineBytes) {
      throw new DecodeError('a line of the stream', `longer than ${maxLineBytes} bytes`)
    }
  }
  rest += decoder.decode()
  if (rest.trim() !== '') yield codec.decode(parseJson(rest, 'a line of the stream'))
}
