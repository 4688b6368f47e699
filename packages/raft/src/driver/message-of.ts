/** What a thrown value says, for a log line or the reason of a halt. Used throughout the driver. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
