/** Prints the tables of `docs/configuration.md` from the schema, for the test that holds the page to it and writes it anew when asked. */

import { variablesOf } from '../../src/config/environment.ts'
import { type Field, fallbackOf, jsonKey, type Shape } from '../../src/config/field.ts'
import { type SectionSpec, sections } from '../../src/config/schema.ts'

interface Row {
  readonly key: string
  readonly field: Field<unknown>
}

function rowsOf(shape: Shape, prefix = ''): readonly Row[] {
  return Object.entries(shape).flatMap(([name, entry]) => {
    const key = `${prefix}${jsonKey(name, entry)}`
    return entry.kind === 'group' ? rowsOf(entry.members, `${key}.`) : [{ key, field: entry }]
  })
}

export function configurationTables(): string {
  return Object.values<SectionSpec>(sections).map(sectionText).join('\n')
}

function sectionText(section: SectionSpec): string {
  const rows = rowsOf(section.shape)
  const variables = new Map(variablesOf(section).map(({ keys, name }) => [keys.join('.'), name]))
  const lines = [`### ${section.path.join('.')}`, '', section.meaning, '']
  if (section.status === 'accepted') {
    const keys = rows.map(({ key }) => `\`${key}\``).join(', ')
    lines.push(`Read and checked, and without effect in this version. Keys: ${keys}.`, '')
    return lines.join('\n')
  }
  lines.push('| Key | Default | Variable | Meaning |', '| --- | --- | --- | --- |')
  for (const { key, field } of rows) {
    if (field.options.inert === true) continue
    const fallback = field.options.fallbackText ?? `\`${JSON.stringify(fallbackOf(field))}\``
    const variable = variables.get(key)
    const meaning = `${field.meaning}${limits(field)}`
    const cells = [`\`${key}\``, fallback, variable === undefined ? 'none' : `\`${variable}\``, meaning]
    lines.push(`| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
  }
  lines.push('')
  const inert = rows.filter(({ field }) => field.options.inert === true).map(({ key }) => `\`${key}\``)
  if (inert.length > 0) lines.push(`Accepted for IPFS Cluster and without effect: ${inert.join(', ')}.`, '')
  return lines.join('\n')
}

/** What is allowed, where the default does not say it already; how each type is written stands once, above the tables. */
function limits({ allowed }: Field<unknown>): string {
  const short = allowed.replace(/a duration such as \S+ or \S+ /, '')
  return /^(?:a text|true or false|a path.*|a list of texts|a multiaddress.*them|more than 0s|0s or more)$/.test(short)
    ? ''
    : ` Allowed: ${short}.`
}

const begin = '<!-- Printed from the schema: begin -->'
const end = '<!-- Printed from the schema: end -->'

/** The page with its tables printed anew. @throws {Error} when the marks around them are gone */
export function withTables(page: string): string {
  const [from, to] = [page.indexOf(begin), page.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`the page must have the marks ${begin} and ${end}`)
  return `${page.slice(0, from + begin.length)}\n\n${configurationTables()}\n${page.slice(to)}`
}
