/**
 * More threads for the file system: the default of four is shared by the log of consensus, the state and name look-ups, and a disk
 * that is slow with one of them must not hold up the others. Imported first by `bin.ts`, since the pool is made at its first use.
 */

process.env.UV_THREADPOOL_SIZE ??= '16'
