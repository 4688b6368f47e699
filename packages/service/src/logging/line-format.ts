/**
 * A line of the log for people: `<time>\t<LEVEL>\t<component>\t<message> field=value …`, the layout of IPFS Cluster's log without the
 * place in the source. Called by `logger.ts` for each record that pino makes.
 *
 * What is logged comes in part from other machines: control characters are written as escapes, so that no peer can forge a line or send
 * codes to a terminal.
 */

/** What pino adds to each record, and `component`, which has a column of its own. */
const columns: ReadonlySet<string> = new Set(['level', 'time', 'component', 'msg', 'pid', 'hostname'])

const levelNames: ReadonlyMap<unknown, string> = new Map([
  [20, 'DEBUG'],
  [30, 'INFO'],
  [40, 'WARN'],
  [50, 'ERROR'],
  [60, 'FATAL']
])

/** @param record one record of pino: a line of JSON */
export function formatLine(record: string): string {
  const fields = JSON.parse(record) as Readonly<Record<string, unknown>>
  const time = new Date(Number(fields.time)).toISOString()
  const level = levelNames.get(fields.level) ?? String(fields.level)
  const rest = Object.entries(fields)
    .filter(([name]) => !columns.has(name))
    .map(([name, value]) => ` ${escapeControls(name)}=${formatValue(value)}`)
  const message = escapeControls(String(fields.msg ?? ''))
  return `${time}\t${level}\t${escapeControls(String(fields.component ?? ''))}\t${message}${rest.join('')}\n`
}

function formatValue(value: unknown): string {
  // An error as pino writes it. Its stack is several lines, and the message is what an operator can use.
  if (typeof value === 'object' && value !== null && 'type' in value && 'message' in value && 'stack' in value) {
    return JSON.stringify(`${String(value.type)}: ${String(value.message)}`)
  }
  // A simple word needs no quotes; an address with its colons and slashes counts as one.
  if (typeof value === 'string' && /^[\w./:@+-]+$/.test(value)) return value
  return escapeControls(JSON.stringify(value))
}

function escapeControls(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, (character) => {
    if (character === '\n') return '\\n'
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}
