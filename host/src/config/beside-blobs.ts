import { accessSync, constants, existsSync, statSync } from 'node:fs';
import path from 'node:path';

/**
 * The folder for what goes with a folder of blobs: its spool, and the secrets of a server whose database is elsewhere.
 * It is the one above, unless that is on another file system or cannot be written, as at the root of a mount. There the
 * folder of the blobs is taken itself. What was made before stays where it is.
 */
export function folderBeside(blobs: string): string {
  const above = path.dirname(blobs);
  if (existsSync(path.join(blobs, 'spool'))) return blobs;
  if (isWritable(path.join(above, 'spool'))) return above;
  if (!existsSync(above)) return above;
  return isWritable(above) && isOnFileSystemOf(blobs, above) ? above : blobs;
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Whether `folder` is on the file system of the one above it. One that is not there yet will be. */
function isOnFileSystemOf(folder: string, above: string): boolean {
  const found = statSync(folder, { throwIfNoEntry: false });
  return found === undefined || found.dev === statSync(above).dev;
}
