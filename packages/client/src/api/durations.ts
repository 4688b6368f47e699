/**
 * Go's duration strings, such as `1m30s`, `200ms` or `24h0m0s`: in query parameters (`expire-in`), on the command line and in the service's
 * configuration. Inside the code a duration is a number of milliseconds, with a fraction below one.
 *
 * @see https://pkg.go.dev/time#ParseDuration
 */

const msPerUnit: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000
}

/** What a signed 64-bit number of nanoseconds can hold, some 292 years; Go's limit. */
const maxDurationMs = Number(2n ** 63n / 1_000_000n)

/** @throws {SyntaxError} saying what is wrong with which text */
export function parseDuration(text: string): number {
  const quoted = JSON.stringify(text)
  const unsigned = text.replace(/^[-+]/, '')
  if (unsigned === '0') return 0
  const part = /(\d+\.?\d*|\.\d+)([^\d.]*)/y
  let ms = 0
  do {
    const match = part.exec(unsigned)
    if (match === null) throw new SyntaxError(`invalid duration ${quoted}: expected something like "1m30s"`)
    const [, digits = '', unit = ''] = match
    if (unit === '') throw new SyntaxError(`invalid duration ${quoted}: missing unit, one of ns, us, ms, s, m, h`)
    const perUnit = Object.hasOwn(msPerUnit, unit) ? msPerUnit[unit] : undefined
    if (perUnit === undefined) {
      throw new SyntaxError(
        `invalid duration ${quoted}: unknown unit ${JSON.stringify(unit)}, use ns, us, ms, s, m or h`
      )
    }
    ms += Number(digits) * perUnit
  } while (part.lastIndex < unsigned.length)
  if (ms > maxDurationMs) throw new SyntaxError(`invalid duration ${quoted}: longer than 292 years`)
  // To the nanosecond, so that 1.1s is 1100 and not 1100.0000000000002.
  const rounded = Number.isInteger(ms) ? ms : Math.round(ms * 1e6) / 1e6
  return text.startsWith('-') && rounded !== 0 ? -rounded : rounded
}

/** As Go prints it: `0s`, `1.5s`, `200ms`, `1m30s`, `24h0m0s`. @param ms - finite */
export function formatDuration(ms: number): string {
  const sign = ms < 0 ? '-' : ''
  // Whole milliseconds stay exact however many they are; a product with 1e6 would not past 104 days.
  const ns = Number.isInteger(ms) ? BigInt(Math.abs(ms)) * 1_000_000n : BigInt(Math.round(Math.abs(ms) * 1e6))
  if (ns === 0n) return '0s'
  if (ns < 1_000n) return `${sign}${ns}ns`
  if (ns < 1_000_000n) return `${sign}${decimal(ns, 3)}µs`
  if (ns < 1_000_000_000n) return `${sign}${decimal(ns, 6)}ms`
  const minutes = ns / 60_000_000_000n
  const seconds = `${decimal(ns % 60_000_000_000n, 9)}s`
  if (minutes === 0n) return sign + seconds
  if (minutes < 60n) return `${sign}${minutes}m${seconds}`
  return `${sign}${minutes / 60n}h${minutes % 60n}m${seconds}`
}

/** `value` · 10^-places without zeros at its end. */
function decimal(value: bigint, places: number): string {
  const digits = value.toString().padStart(places + 1, '0')
  const fraction = digits.slice(-places).replace(/0+$/, '')
  return digits.slice(0, -places) + (fraction === '' ? '' : `.${fraction}`)
}
