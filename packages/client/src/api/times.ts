/**
 * RFC 3339 times of the API. Inside the code a time is milliseconds since the Unix epoch. Go's zero time, the first instant of year 1, stands for
 * "never" or "not known"; some versions of IPFS Cluster wrote the Unix epoch instead, so both read as none.
 */

/** Go's `time.Time{}`. */
export const zeroTime = '0001-01-01T00:00:00Z'

const rfc3339 = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d{1,18}))?(?:Z|([+-])(\d\d):(\d\d))$/
const daysInMonth = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
/** The last millisecond that RFC 3339 can write. */
const maxTimeMs = Date.UTC(9999, 11, 31, 23, 59, 59, 999)

/**
 * Fractions below a millisecond are cut off.
 *
 * @returns undefined for the zero time and for the Unix epoch
 * @throws {SyntaxError} unless it is RFC 3339 and a day of the calendar
 */
export function parseTime(text: string): number | undefined {
  const match = rfc3339.exec(text)
  if (match === null)
    throw new SyntaxError(`${JSON.stringify(text)} is not an RFC 3339 time such as "2026-01-31T23:59:59Z"`)
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number
  ]
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0
  const [zoneHour, zoneMinute] = [Number(match[9] ?? 0), Number(match[10] ?? 0)]
  const days = month === 2 && !leap ? 28 : (daysInMonth[month - 1] ?? 0)
  if (day < 1 || day > days || hour > 23 || minute > 59 || second > 59 || zoneHour > 23 || zoneMinute > 59) {
    throw new SyntaxError(`${JSON.stringify(text)} is not a time of the calendar: a part is out of range`)
  }
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  date.setUTCHours(hour, minute, second, Number((match[7] ?? '').padEnd(3, '0').slice(0, 3)))
  const offsetMinutes = (zoneHour * 60 + zoneMinute) * (match[8] === '-' ? -1 : 1)
  const ms = date.getTime() - offsetMinutes * 60_000
  return ms === 0 || (year <= 1 && ms <= Date.parse(zeroTime)) ? undefined : ms
}

/** In UTC, with as many digits of a second as it has. Undefined and 0 give the zero time. @throws {RangeError} past year 9999 */
export function formatTime(ms: number | undefined): string {
  if (ms === undefined || ms === 0) return zeroTime
  if (!(Math.abs(ms) <= maxTimeMs))
    throw new RangeError(`${ms} ms is no time that RFC 3339 can write: it ends with year 9999`)
  return new Date(ms).toISOString().replace(/\.?0*Z$/, 'Z')
}
