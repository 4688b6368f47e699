/** Runs of many seeds, for the tests of this folder. */

import { type SimulationInit, type SimulationReport, simulate } from '@quorate/raft/sim'

/** A violation as a message to read: what, the last events, and how to see it again. */
export function describeViolation(report: SimulationReport): string {
  const { violation } = report
  if (violation === undefined) return `seed ${report.seed}: no violation`
  const events = violation.lastEvents.slice(-40).join('\n')
  return `${events}\nseed ${report.seed}: violation of ${violation.judge} at ${violation.atMs} ms\n${violation.message}\nreplay: ${report.replay}`
}

/** Runs seeds from `first` on; answers the first report with a violation, or undefined after `count` seeds. */
export function findViolation(
  first: number,
  count: number,
  init: Omit<SimulationInit, 'seed'>,
  onReport: (report: SimulationReport) => void = () => {}
): SimulationReport | undefined {
  for (let seed = first; seed < first + count; seed++) {
    const report = simulate({ ...init, seed })
    onReport(report)
    if (report.violation !== undefined) return report
  }
  return undefined
}
