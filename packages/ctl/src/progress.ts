/**
 * The progress bar of `add`. cli-progress is loaded only when a bar is drawn.
 */

export interface ProgressBar {
  /** @param sentBytes - of the total so far */
  update(sentBytes: number): void
  /** Wipes the line that the bar is on, so that a result can be printed there; the bar comes back by itself below it. */
  clear(): void
  stop(): void
}

/** The caller must stop it. @param totalBytes - 0 when it is not known */
export async function showProgress(stream: NodeJS.WritableStream, totalBytes: number): Promise<ProgressBar> {
  const { default: cliProgress } = await import('cli-progress')
  const bar = new cliProgress.SingleBar({
    format: (_options, params) =>
      params.total > 0
        ? `${drawBar(params.progress)} ${Math.floor(params.progress * 100)}% | ${formatBytes(params.value)} of ${formatBytes(params.total)}`
        : `sent ${formatBytes(params.value)}`,
    stream,
    clearOnComplete: true,
    hideCursor: false,
    fps: 10
  })
  bar.start(totalBytes, 0)
  return {
    update: (sentBytes) => bar.update(sentBytes),
    clear: () => stream.write('\r\u001b[K'),
    stop: () => bar.stop()
  }
}

export function hideProgress(bar: ProgressBar): void {
  bar.stop()
}

const barWidth = 30

function drawBar(share: number): string {
  const done = Math.round(Math.min(1, Math.max(0, share)) * barWidth)
  return `[${'='.repeat(done)}${' '.repeat(barWidth - done)}]`
}

const byteUnits = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB']

/** Base 1000; one decimal below ten units: `1.2 kB`, `59 kB`. */
export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1000 && unit < byteUnits.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} ${byteUnits[unit]}`
}
