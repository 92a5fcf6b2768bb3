import { readFile, stat } from 'node:fs/promises';

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
