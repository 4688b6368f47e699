/** What the errors of a running node say of a request, in the words of the workload. Used by `full-requests.ts`. */

import type { NodeId } from '../../core/types.ts'
import type { Outcome } from '../surroundings.ts'

export function outcomeOf(error: unknown): Outcome {
  if (!(error instanceof Error)) return { type: 'unknown' }
  switch (error.name) {
    case 'NotLeaderError':
      return { type: 'refused', reason: 'not-leader', leader: (error as Error & { leader?: NodeId }).leader }
    case 'ProposalRefusedError':
      return { type: 'refused', reason: 'not-leader', leader: undefined }
    case 'ProposalLostError':
      return { type: 'lost' }
    default:
      return { type: 'unknown' }
  }
}
