/**
 * Durations as Go writes them, which is how IPFS Cluster writes them in `service.json`, in queries (`expire-in`) and on the command
 * line: `1m30s`, `200ms`, `2h45m`, `0s`. Inside, a duration is a number of milliseconds, whose name ends in `Ms`.
 * Called by the client, by `ctl` and by the peer's configuration. Depends on nothing.
 *
 * @see https://pkg.go.dev/time#ParseDuration
 */

const nanosecondsOfUnit: ReadonlyMap<string, number> = new Map([
  ['ns', 1],
  ['us', 1e3],
  ['µs', 1e3], // U+00B5, micro sign
  ['μs', 1e3], // U+03BC, Greek letter mu
  ['ms', 1e6],
  ['s', 1e9],
  ['m', 60e9],
  ['h', 3600e9]
])

/** Go keeps a duration in a signed 64-bit count of nanoseconds, some 292 years; a longer one is refused there and here. */
const maxNanoseconds = 2 ** 63

const wholePattern = /^[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/
const partPattern = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g

/**
 * Reads a duration.
 *
 * @param text one or more decimal numbers, each with its unit, after an optional sign; `0` needs no unit
 * @returns milliseconds, with a fraction where the text is finer, negative if the text is; undefined if it is not a duration
 * @example
 * ```ts
 * parseDuration('1m30s') // 90000
 * parseDuration('1.5h')  // 5400000
 * parseDuration('90')    // undefined: no unit
 * ```
 */
export function parseDuration(text: string): number | undefined {
  if (/^[+-]?0$/.test(text)) return 0
  // The length bounds the work on what a stranger sent; no real duration comes near it.
  if (text.length > 128 || !wholePattern.test(text)) return undefined
  let nanoseconds = 0
  for (const [, digits, unit] of text.matchAll(partPattern)) {
    nanoseconds += Number(digits) * (nanosecondsOfUnit.get(unit ?? '') ?? Number.NaN)
  }
  if (!(nanoseconds < maxNanoseconds)) return undefined
  if (nanoseconds === 0) return 0
  return (text.startsWith('-') ? -nanoseconds : nanoseconds) / 1e6
}

/**
 * Writes a duration as Go's `Duration.String` does: `1h0m0s`, `2m0s`, `1.5s`, `200ms`, `50µs`, `0s`. Finer than a nanosecond is rounded.
 *
 * @param durationMs milliseconds, finite
 * @throws {RangeError} when it is not a finite number
 */
export function formatDuration(durationMs: number): string {
  if (!Number.isFinite(durationMs)) throw new RangeError(`cannot write ${durationMs} as a duration`)
  const nanoseconds = Math.round(Math.abs(durationMs) * 1e6)
  if (nanoseconds === 0) return '0s'
  const sign = durationMs < 0 ? '-' : ''
  if (nanoseconds < 1e3) return `${sign}${nanoseconds}ns`
  if (nanoseconds < 1e6) return `${sign}${decimal(nanoseconds, 3)}µs`
  if (nanoseconds < 1e9) return `${sign}${decimal(nanoseconds, 6)}ms`
  const hours = Math.floor(nanoseconds / 3600e9)
  const minutes = Math.floor((nanoseconds % 3600e9) / 60e9)
  const seconds = `${decimal(nanoseconds % 60e9, 9)}s`
  if (hours > 0) return `${sign}${hours}h${minutes}m${seconds}`
  return minutes > 0 ? `${sign}${minutes}m${seconds}` : `${sign}${seconds}`
}

/** `value` divided by ten to the `places`, in decimal, without trailing zeros and without binary rounding. */
function decimal(value: number, places: number): string {
  const digits = String(value).padStart(places + 1, '0')
  const fraction = digits.slice(-places).replace(/0+$/, '')
  const whole = digits.slice(0, -places)
  return fraction === '' ? whole : `${whole}.${fraction}`
}
