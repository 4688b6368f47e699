/**
 * The progress bar of `add`. cli-progress is loaded only when a bar is drawn.
 */

export interface ProgressBar {
  /** @param sentBytes - of the total so far */
  update(sentBytes: number): void
  /** Takes the bar away, so that a result can be printed in its place; the next update draws it again below. */
  clear(): void
}

/** The caller must clear it at the end. @param totalBytes - 0 when it is not known */
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
  let drawn = false
  return {
    update: (sentBytes) => {
      if (drawn) bar.update(sentBytes)
      else bar.start(totalBytes, sentBytes)
      drawn = true
    },
    // The bar remembers where the cursor was when it began and goes back there when it ends: it must end before
    // anything else is written to the terminal.
    clear: () => {
      if (drawn) bar.stop()
      drawn = false
    }
  }
}

const barWidth = 30

function drawBar(share: number): string {
  const done = Math.round(Math.min(1, Math.max(0, share)) * barWidth)
  return `[${'='.repeat(done)}${' '.repeat(barWidth - done)}]`
}

const byteUnits = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB']

/** Base 1000; one decimal below ten units: `1.2 kB`, `59 kB`. */
function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1000 && unit < byteUnits.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} ${byteUnits[unit]}`
}
