/**
 * Pages of the manual of which a part is printed from code: the part stands between two marks, a test holds it to what would be
 * printed now, and writes it anew with `QUORATE_UPDATE_DOCS=1`.
 */

import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'

const begin = '<!-- Printed from the code: begin -->'
const end = '<!-- Printed from the code: end -->'

/** @param name - of a page in `docs/` */
export async function assertPrinted(name: string, printed: string): Promise<void> {
  const file = new URL(`../../../../docs/${name}`, import.meta.url)
  const page = await readFile(file, 'utf8')
  const [from, to] = [page.indexOf(begin), page.indexOf(end)]
  assert.ok(from >= 0 && to > from, `docs/${name} must have the marks ${begin} and ${end}`)
  const fresh = `${page.slice(0, from + begin.length)}\n\n${printed}\n${page.slice(to)}`
  if (process.env.QUORATE_UPDATE_DOCS === '1') await writeFile(file, fresh)
  else assert.equal(page, fresh, `print docs/${name} anew with QUORATE_UPDATE_DOCS=1`)
}

/** A table; bars inside the cells are escaped. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line), ''].join('\n')
}
