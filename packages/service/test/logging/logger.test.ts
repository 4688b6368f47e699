import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createLogging, type LoggingInit, logFormat } from '../../src/logging/logger.ts'

function logTo(lines: string[], init: LoggingInit = {}) {
  return createLogging({ ...init, write: (line) => lines.push(line) })
}

describe('a line of the log', () => {
  it('has time, level, component and message in columns, then fields', () => {
    const lines: string[] = []
    const logger = logTo(lines).logger('raft')
    logger.info({ term: 3, peer: '/ip4/1.2.3.4/tcp/1', why: 'two words', list: [1] }, 'a leader')
    assert.match(
      lines[0] ?? '',
      /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\tINFO\traft\ta leader term=3 peer=\/ip4\/1\.2\.3\.4\/tcp\/1 why="two words" list=\[1\]\n$/
    )
  })

  it('shows an error by its name and message', () => {
    const lines: string[] = []
    logTo(lines)
      .logger('http')
      .error({ err: new TypeError('no such thing') }, 'failed')
    assert.match(lines[0] ?? '', /\tERROR\thttp\tfailed err="TypeError: no such thing"\n$/)
  })

  it('cannot be forged by what strangers send', () => {
    const lines: string[] = []
    const logger = logTo(lines).logger('rpc')
    logger.warn(
      { peername: 'x\n2026-01-01T00:00:00.000Z\tERROR\tfake\x1b[31m', 'a\nb': 1 },
      'met\nsomebody\u2028\u009b'
    )
    assert.equal(lines.length, 1)
    const line = lines[0]?.slice(0, -1) ?? ''
    assert.equal(line.split('\t').length, 4)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: none of these may be left
    assert.doesNotMatch(line.replaceAll('\t', ''), /[\u0000-\u001f\u007f-\u009f\u2028]/)
  })

  it('never holds a secret', () => {
    for (const format of ['text', 'json'] as const) {
      const lines: string[] = []
      logTo(lines, { format })
        .logger('config')
        .info({ secret: 'hunter2', cluster: { private_key: 'hunter2' } }, 'read')
      assert.match(lines[0] ?? '', /\[hidden\]/)
      assert.doesNotMatch(lines[0] ?? '', /hunter2/)
    }
  })

  it('is JSON when asked for', () => {
    const lines: string[] = []
    logTo(lines, { format: logFormat({ QUORATE_LOG_FORMAT: 'json' }) })
      .logger('raft')
      .info({ term: 1 }, 'a leader')
    const { component, term, msg } = JSON.parse(lines[0] ?? '')
    assert.deepEqual({ component, term, msg }, { component: 'raft', term: 1, msg: 'a leader' })
    assert.equal(logFormat({}), 'text')
  })
})

describe('log levels', () => {
  it('are one for all, and others for the components that are named', () => {
    const lines: string[] = []
    const logging = logTo(lines, { levels: 'warn,raft:debug,http:error' })
    for (const component of ['raft', 'http', 'state']) {
      const logger = logging.logger(component)
      logger.debug('debug')
      logger.info('info')
      logger.warn('warn')
      logger.error('error')
    }
    const seen = lines.map((line) => line.trim().split('\t').slice(2).join(' '))
    assert.deepEqual(seen, [
      'raft debug',
      'raft info',
      'raft warn',
      'raft error',
      'http error',
      'state warn',
      'state error'
    ])
  })

  it('are info by default, and refused when they are none', () => {
    const lines: string[] = []
    const logger = logTo(lines).logger('x')
    logger.debug('no')
    logger.info('yes')
    assert.equal(lines.length, 1)
    for (const levels of ['loud', 'raft:loud', ':info']) assert.throws(() => createLogging({ levels }), RangeError)
  })
})
