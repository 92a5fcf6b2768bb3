import { readFile, stat } from 'node:fs/promises';
import { EntrepotError, messageOf } from '@entrepot/core';
import { fieldsOf, type Fields } from '@entrepot/core/formats';
import { parse } from 'smol-toml';

/** The largest settings file that is read, in bytes. */
const SIZE_LIMIT = 1024 * 1024;

/**
 * Reads a settings file. `undefined`: there is none, or none that can be opened.
 * @throws EntrepotError `configuration` for one that cargo could not read either
 */
export async function readToml(path: string): Promise<Fields | undefined> {
  let text: string;
  try {
    if ((await stat(path)).size > SIZE_LIMIT) return undefined;
    text = await readFile(path, 'utf8');
  } catch {
    return undefined;
  }
  try {
    return parseToml(text);
  } catch (error) {
    throw new EntrepotError('configuration', `${path}: ${messageOf(error)}`, { cause: error });
  }
}

/** Parses TOML. @throws Error whose message is one line, without the text */
export function parseToml(text: string): Fields {
  try {
    return fieldsOf(parse(text));
  } catch (error) {
    throw new Error(`expected TOML: ${messageOf(error).split('\n', 1)[0]}`, { cause: error });
  }
}
