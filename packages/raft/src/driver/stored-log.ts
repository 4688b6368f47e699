/**
 * Questions to a log that was loaded, before there is a core to ask. Used by `startup.ts` and `healing.ts`, and by `../storage/log-reader.ts` for
 * those who only look.
 */

import { decodeConfig } from '../core/members.ts'
import { payloadOf } from '../core/record.ts'
import { type ClusterConfig, EntryKind, type Index, type LogBase } from '../core/types.ts'
import type { LinkedEntry, LoadedLog } from '../ports.ts'

export type Log = Pick<LoadedLog, 'hardState' | 'base' | 'entries'>

/** That of the last config entry (T30). */
export function configInForce({ base, entries }: Pick<Log, 'base' | 'entries'>): ClusterConfig {
  const last = entries.findLast((entry) => entry.kind === EntryKind.config)
  return (last === undefined ? undefined : decodeConfig(payloadOf(last))) ?? base.config
}

/** Whether the log goes on from `base`: it begins there, or holds that very entry. */
export function logHolds(log: Log, base: LogBase): boolean {
  if (base.index === log.base.index) return base.term === log.base.term && base.chain === log.base.chain
  const entry = log.entries[base.index - log.base.index - 1]
  return entry !== undefined && entry.term === base.term && entry.chain === base.chain
}

/** Looks an entry up by index and chain, with the chain before it. */
export function findIn(log: Log): (index: Index, chain: number) => LinkedEntry | undefined {
  return (index, chain) => {
    const at = index - log.base.index - 1
    const entry = log.entries[at]
    if (entry === undefined || entry.chain !== chain) return undefined
    return { entry, previousChain: at === 0 ? log.base.chain : log.entries[at - 1]!.chain }
  }
}
