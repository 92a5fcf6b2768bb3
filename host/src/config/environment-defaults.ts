import { fieldsOf, isRecord, type Fields } from '@entrepot/core/formats';
import path from 'node:path';

const DATA = 'ENTREPOT_DATA';
const LISTEN = 'ENTREPOT_DEFAULT_LISTEN';

/** The variables that stand below the file, for images and units of services: they hold where nothing else is said. */
export const DEFAULT_VARIABLES: readonly string[] = [DATA, LISTEN];

/** The folder of blobs, spool and database where the configuration names none; `ENTREPOT_DATA` may be relative. */
export function dataFolder(env: Readonly<Record<string, string | undefined>>, directory: string): string {
  return path.resolve(directory, env[DATA] || 'data');
}

/**
 * `tree` with the defaults that the environment gives. It is not changed.
 * @param variables the variable that set a key, by the key's dotted path
 */
export function applyDefaults(
  tree: Fields,
  env: Readonly<Record<string, string | undefined>>,
  variables: ReadonlyMap<string, string>,
): { readonly tree: Fields; readonly variables: ReadonlyMap<string, string> } {
  const { [DATA]: data, [LISTEN]: listen } = env;
  const defaults = [
    ...(data ? [{ variable: DATA, section: 'storage', key: 'path', value: path.join(data, 'blobs') }] : []),
    ...(data ? [{ variable: DATA, section: 'metadata', key: 'path', value: path.join(data, 'entrepot.db') }] : []),
    ...(listen ? [{ variable: LISTEN, section: 'server', key: 'listen', value: listen }] : []),
  ];
  const changed: Record<string, unknown> = { ...tree };
  const known = new Map(variables);
  for (const { variable, section, key, value } of defaults) {
    const fields = changed[section] ?? {};
    // A path is a key of the backends that are chosen by default.
    const isOther = !['filesystem', 'sqlite', undefined].includes(fieldsOf(fields)['backend'] as string | undefined);
    if (!isRecord(fields) || isOther || fields[key] !== undefined) continue;
    changed[section] = { ...fields, [key]: value };
    known.set(`${section}.${key}`, variable);
  }
  return { tree: changed, variables: known };
}
