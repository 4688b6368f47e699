/** Cross-origin requests from browsers, by the `cors_*` keys, with the answers of IPFS Cluster (rs/cors). Pure. */

export interface CorsPolicy {
  readonly corsAllowedOrigins: readonly string[]
  readonly corsAllowedMethods: readonly string[]
  readonly corsAllowedHeaders: readonly string[]
  readonly corsExposedHeaders: readonly string[]
  readonly corsAllowCredentials: boolean
  readonly corsMaxAgeMs: number
}

export interface CorsRequest {
  readonly origin: string | undefined
  readonly method: string
  /** `Access-Control-Request-Method` and `-Headers` of a preflight. */
  readonly requestMethod: string | undefined
  readonly requestHeaders: string | undefined
}

type Headers = Record<string, string>

/** What browsers may send where nothing is configured. */
const SIMPLE_HEADERS = ['accept', 'content-type', 'x-requested-with']

/** An origin of the list may hold one `*`. */
function originAllowed(policy: CorsPolicy, origin: string): boolean {
  const asked = origin.toLowerCase()
  return policy.corsAllowedOrigins.some((entry) => {
    const allowed = entry.toLowerCase()
    const star = allowed.indexOf('*')
    if (star === -1) return allowed === asked
    const head = allowed.slice(0, star)
    const tail = allowed.slice(star + 1)
    return asked.length >= head.length + tail.length && asked.startsWith(head) && asked.endsWith(tail)
  })
}

function originHeaders(policy: CorsPolicy, origin: string): Headers {
  return {
    'Access-Control-Allow-Origin': policy.corsAllowedOrigins.includes('*') ? '*' : origin,
    ...(policy.corsAllowCredentials ? { 'Access-Control-Allow-Credentials': 'true' } : {})
  }
}

const methodAllowed = (policy: CorsPolicy, method: string): boolean =>
  (policy.corsAllowedMethods.length === 0 ? ['GET', 'POST', 'HEAD'] : policy.corsAllowedMethods).some(
    (allowed) => allowed.toUpperCase() === method.toUpperCase()
  )

/** Headers of the 204 that answers a preflight. */
export function preflightHeaders(policy: CorsPolicy, request: CorsRequest): Headers {
  const vary = { Vary: 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers' }
  const { origin, requestMethod = '', requestHeaders = '' } = request
  const asked = requestHeaders
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '')
  const allowed =
    policy.corsAllowedHeaders.length === 0
      ? SIMPLE_HEADERS
      : policy.corsAllowedHeaders.map((name) => name.toLowerCase())
  const headersAllowed = allowed.includes('*') || asked.every((name) => allowed.includes(name))
  if (
    origin === undefined ||
    !originAllowed(policy, origin) ||
    !methodAllowed(policy, requestMethod) ||
    !headersAllowed
  )
    return vary
  return {
    ...vary,
    ...originHeaders(policy, origin),
    'Access-Control-Allow-Methods': requestMethod.toUpperCase(),
    ...(asked.length > 0 ? { 'Access-Control-Allow-Headers': requestHeaders } : {}),
    ...(policy.corsMaxAgeMs > 0 ? { 'Access-Control-Max-Age': String(Math.floor(policy.corsMaxAgeMs / 1000)) } : {})
  }
}

/** Headers that an ordinary answer gets. */
export function corsHeaders(policy: CorsPolicy, request: CorsRequest): Headers {
  const { origin } = request
  if (origin === undefined || !originAllowed(policy, origin) || !methodAllowed(policy, request.method))
    return { Vary: 'Origin' }
  return {
    Vary: 'Origin',
    ...originHeaders(policy, origin),
    ...(policy.corsExposedHeaders.length > 0
      ? { 'Access-Control-Expose-Headers': policy.corsExposedHeaders.join(', ') }
      : {})
  }
}
