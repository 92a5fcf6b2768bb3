import { access, constants, stat } from 'node:fs/promises';
import { delimiter, isAbsolute, join, resolve } from 'node:path';
import { ToolFailure } from './run-tool.js';

/** An executable on this machine. */
export interface FoundTool {
  readonly path: string;
  /** Changes when another one is put in its place. */
  readonly stamp: string;
}

/**
 * Finds `command`: a path, or a name on the PATH.
 * @throws ToolFailure
 */
export async function findTool(command: string): Promise<FoundTool> {
  const places =
    isAbsolute(command) || command.includes('/')
      ? [resolve(command)]
      : (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, command));
  for (const path of places) {
    try {
      await access(path, constants.X_OK);
      return { path, stamp: await stampOf(path) };
    } catch {
      // Not here.
    }
  }
  throw new ToolFailure('missing', `expected ${command} on this machine, found none`);
}

/** Changes when another file is put in the place of the one at `path`. */
export async function stampOf(path: string): Promise<string> {
  const { ino, size, mtimeMs } = await stat(path);
  return `${path} ${ino} ${size} ${mtimeMs}`;
}
