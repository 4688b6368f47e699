/** The version of this package, as `version`, `--version` and `GET /version` tell it. */

import { readFileSync } from 'node:fs'

/** Reads `package.json`, which lies above `src/` and `dist/` alike. */
export function packageVersion(): string {
  const json: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  if (typeof json === 'object' && json !== null && 'version' in json && typeof json.version === 'string')
    return json.version
  throw new Error('package.json of @quorate/service has no version')
}
