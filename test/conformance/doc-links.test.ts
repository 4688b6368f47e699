/**
 * Holds the manual to the tree: every relative link leads to a file, every anchor to a heading, and every path of this repository
 * that a page names in code type exists. Pages move slower than code; this is what notices.
 */

import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const pages = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'docs/**/*.md',
  'packages/*/README.md',
  'config/*/README.md'
]
  .flatMap((pattern) => globSync(pattern, { cwd: root }))
  .filter((page) => !page.includes('node_modules'))
  .sort()

/** Text without what is between code fences, where `[a](b)` is no link. */
const prose = (text: string): string => text.replace(/^( *)```[\s\S]*?^\1```/gm, '')

interface Link {
  readonly target: string
  readonly path: string
  readonly anchor: string
}

function linksOf(text: string): readonly Link[] {
  return [...prose(text).matchAll(/\]\(([^)\s]+)\)/g)]
    .map((match) => match[1] ?? '')
    .filter((target) => !/^[a-z][a-z+.-]*:/i.test(target))
    .map((target) => ({ target, path: target.split('#')[0] ?? '', anchor: target.split('#')[1] ?? '' }))
}

/** Headings by the names that GitHub gives them. */
function anchorsOf(text: string): ReadonlySet<string> {
  const headings = [...prose(text).matchAll(/^#+ (.+)$/gm)].map((match) => match[1] ?? '')
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\- _]/gu, '')
        .replaceAll(' ', '-')
    )
  )
}

/** What stands in code type right behind a link to a source file: a function or class of it. */
const functionsOf = (text: string): readonly { readonly path: string; readonly name: string }[] =>
  [...text.matchAll(/\]\(([^)\s]+\.ts)\)\s+`([\w.]+)`/g)].map((match) => ({
    path: match[1] ?? '',
    name: match[2] ?? ''
  }))

/** Paths in code type that begin with a folder of this repository; `*` and `<name>` stand for anything. */
function namedPaths(text: string): readonly string[] {
  return [...prose(text).matchAll(/`((?:packages|config|test|docs|\.ci)\/[^`\s]+)`/g)]
    .map((match) => match[1] ?? '')
    .map((path) => path.replaceAll(/<[^>]+>/g, '*'))
}

const exists = (path: string): boolean =>
  path.includes('*') ? globSync(path, { cwd: root }).length > 0 : existsSync(join(root, path))

describe('the manual', () => {
  it('has the pages that it is made of', () => {
    for (const page of ['README.md', 'CONTRIBUTING.md', 'docs/life-of-a-pin.md', 'docs/configuration.md']) {
      assert.ok(pages.includes(page), `${page} is missing`)
    }
  })

  for (const page of pages) {
    const text = readFileSync(join(root, page), 'utf8')

    it(`${page} links only to what is there`, () => {
      for (const { target, path, anchor } of linksOf(text)) {
        const file = path === '' ? join(root, page) : join(root, dirname(page), decodeURIComponent(path))
        assert.ok(existsSync(file), `${page} links to ${target}, and there is no ${relative(root, file)}`)
        assert.ok(!relative(root, file).startsWith('..'), `${page} links to ${target}, outside of the repository`)
        if (anchor === '' || !statSync(file).isFile()) continue
        assert.ok(
          anchorsOf(readFileSync(file, 'utf8')).has(anchor),
          `${page} links to ${target}, and there is no such heading`
        )
      }
    })

    it(`${page} names only paths that are there`, () => {
      for (const path of namedPaths(text)) assert.ok(exists(path), `${page} names ${path}, which is not there`)
    })
  }
})

describe('docs/life-of-a-pin.md', () => {
  const page = join(root, 'docs/life-of-a-pin.md')

  it('names functions that the linked file has', () => {
    const named = functionsOf(readFileSync(page, 'utf8'))
    assert.ok(named.length >= 15)
    for (const { path, name } of named) {
      const code = readFileSync(join(dirname(page), path), 'utf8')
      for (const word of name.split('.')) {
        assert.match(code, new RegExp(`\\b${word}\\b`), `the page names ${name} in ${path}, which has no such thing`)
      }
    }
  })
})

describe('the check of the manual', () => {
  it('finds links in prose and none in code', () => {
    assert.deepEqual(
      linksOf('[a](b.md#c) and\n```\n[d](e.md)\n```\n[f](https://example.org) [g](#h)').map(({ target }) => target),
      ['b.md#c', '#h']
    )
  })

  it('names headings as GitHub does', () => {
    assert.deepEqual([...anchorsOf('# A: b, c\n## `init` and *x*\n')], ['a-b-c', 'init-and-x'])
  })

  it('takes <name> and * in a path for anything', () => {
    assert.deepEqual(namedPaths('`packages/<p>/src/index.ts` and `npm test`'), ['packages/*/src/index.ts'])
    assert.ok(exists('packages/*/src/index.ts'))
    assert.ok(!exists('packages/raft/src/nothing.ts'))
  })
})
