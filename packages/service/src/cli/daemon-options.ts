/** What the `daemon` command hands to `daemon/run.ts`. */
export interface RunDaemonOptions {
  /** The configuration folder, absolute. */
  readonly folder: string
  /** Addresses of members to join through, in the order in which they are tried; each ends in `/p2p/<peer ID>`. Empty: no join. */
  readonly bootstrap: readonly string[]
  /** Leave the cluster at the end, whatever `leave_on_shutdown` says. */
  readonly leave: boolean
  /** Gather metrics, whatever `enable_stats` says. */
  readonly stats: boolean
  /** Levels, checked, as `createLogging` reads them: `info,raft:debug`. */
  readonly loglevel: string
}
