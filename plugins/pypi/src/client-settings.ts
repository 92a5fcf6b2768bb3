import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** The sources of clients' settings. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string | undefined;
  readonly platform: NodeJS.Platform;
  /** The root of settings for the whole machine: `/`. */
  readonly root: string;
}

/** An index that a client is set up with. */
export interface FoundIndex {
  /** As it is written, with credentials if it has any. */
  readonly url: string;
  /** Its source, for people. */
  readonly source: string;
}

/** The indexes of one client. */
export interface FoundIndexes {
  /** The main one. */
  readonly main?: FoundIndex | undefined;
  /** Those that are asked besides it. */
  readonly extra: readonly FoundIndex[];
}

/** No settings file is larger. Bytes. */
const SIZE_LIMIT = 1024 * 1024;

/** The text of a settings file; `undefined` when there is none, or none that can be read. */
export async function readSettings(path: string): Promise<string | undefined> {
  try {
    const { size } = await stat(path);
    return size > SIZE_LIMIT ? undefined : await readFile(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** The folders of settings by the XDG Base Directory Specification: the user's, and those of the machine, the strongest first. */
export function configFolders({ env, home, root }: Surroundings) {
  return {
    user: env['XDG_CONFIG_HOME'] || (home && join(home, '.config')),
    machine: env['XDG_CONFIG_DIRS']?.split(':').filter(Boolean) ?? [join(root, 'etc', 'xdg')],
  };
}
