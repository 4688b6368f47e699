import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { encodeJson, type JsonValue } from '@quorate/client/api'
import fc from 'fast-check'

describe('encodeJson', () => {
  it('writes what JSON.parse reads back, on one line or indented', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), fc.constantFrom(0, 4), (value, indent) => {
        const text = encodeJson(value as JsonValue, indent)
        assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)))
        if (indent === 0) assert.ok(!text.includes('\n'))
      })
    )
  })

  it('indents as Go does: empty things stay on one line', () => {
    assert.equal(
      encodeJson({ a: [], b: {}, c: [1, 'x'] }, 4),
      '{\n    "a": [],\n    "b": {},\n    "c": [\n        1,\n        "x"\n    ]\n}'
    )
  })

  it('escapes what Go escapes, writes bigints in full and leaves out undefined', () => {
    assert.equal(
      encodeJson({ a: '<&>\u2028\u2029"\n', b: 1763720000123456789n, c: undefined }),
      '{"a":"\\u003c\\u0026\\u003e\\u2028\\u2029\\"\\n","b":1763720000123456789}'
    )
  })
})
