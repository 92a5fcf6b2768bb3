import { readFileSync, statSync } from 'node:fs';
import { EntrepotError } from '@entrepot/core';
import { parseYaml } from './read-yaml.js';

const MAX_YAML_BYTES = 1024 * 1024;

/**
 * Reads a file of YAML, or says what is wrong with it.
 * @param what it is expected to be: `policy file`
 * @param shown its name in problems
 */
export function readYamlFile(file: string, what: string, shown = file): ReturnType<typeof parseYaml> {
  const refused = (message: string) => ({ value: {}, problems: [{ path: shown, message }] });
  try {
    if (statSync(file).size > MAX_YAML_BYTES) return refused(`expected a ${what} of at most 1 MiB`);
    return parseYaml(readFileSync(file, 'utf8'), shown);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return refused(
      `expected a ${what}; ${code === 'ENOENT' ? 'there is no such file' : `it cannot be read (${code})`}`,
    );
  }
}

/** A version that changes with the file. An unreadable file has a version too. */
export function fileVersion(file: string): string {
  const found = statSync(file, { throwIfNoEntry: false });
  return found === undefined ? 'absent' : `${found.ino}-${found.size}-${found.mtimeMs}`;
}

/** The error of a file that the configuration names and that cannot be read. */
export function unreadable(file: string, error: unknown): EntrepotError {
  const { code } = error as NodeJS.ErrnoException;
  return new EntrepotError('configuration', `the file ${file} cannot be read (${code})`, { cause: error });
}
