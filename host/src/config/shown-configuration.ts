import { isRecord } from '@entrepot/core/formats';
import { HIDDEN, mayBeSecret, told, withoutCredentials } from './changes.js';
import type { Config } from './schema.js';

/** The longest list that is shown whole. */
const MOST_MEMBERS = 1_000;

/**
 * Shows a configuration as it is in force, defaults filled in: durations in milliseconds, sizes in bytes. Hidden is what may be a secret by
 * its key, and text in options of plugins, of which only the plugin knows.
 */
export function shownConfiguration(config: Config): Readonly<Record<string, unknown>> {
  return shownAt('', told(config)) as Readonly<Record<string, unknown>>;
}

function shownAt(key: string, value: unknown): unknown {
  if (Array.isArray(value)) return value.slice(0, MOST_MEMBERS).map((one, index) => shownAt(`${key}.${index}`, one));
  if (isRecord(value)) {
    const named = ([name, one]: [string, unknown]) =>
      [name, shownAt(key === '' ? name : `${key}.${name}`, one)] as const;
    return Object.fromEntries(Object.entries(value).map(named));
  }
  // JSON has no such number.
  if (value === Infinity) return 'unlimited';
  if (typeof value !== 'string') return value;
  return mayBeSecret(key) ? HIDDEN : withoutCredentials(value);
}
