/** Whether a file or a folder is there. Called by all that looks before it moves or makes one. */

import { access } from 'node:fs/promises'

export const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false
  )
