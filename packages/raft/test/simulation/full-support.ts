/** Runs of many seeds of the full mode, for the tests of this folder. */

import { type FullSimulationInit, type FullSimulationReport, simulateFull } from '@quorate/raft/sim'

/** Runs seeds from `first` on; answers the first report with a violation, or undefined after `count` seeds. */
export async function findFullViolation(
  first: number,
  count: number,
  init: Omit<FullSimulationInit, 'seed'>,
  onReport: (report: FullSimulationReport) => void = () => {}
): Promise<FullSimulationReport | undefined> {
  for (let seed = first; seed < first + count; seed++) {
    const report = await simulateFull({ ...init, seed })
    onReport(report)
    if (report.violation !== undefined) return report
  }
  return undefined
}
