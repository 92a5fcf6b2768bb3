import { isDeepStrictEqual } from 'node:util';
import { isRecord } from '@entrepot/core/formats';
import type { ConfigurationProblem } from './configuration-error.js';
import type { Config } from './schema.js';

/** A key that two configurations do not have in common. */
export interface ConfigurationChange {
  readonly key: string;
  readonly change: 'added' | 'removed' | 'changed';
  /** The value before. Absent: there was none, it is a mapping, or it may be a secret. */
  readonly from?: string | undefined;
  /** The value now. Absent: as `from`. */
  readonly to?: string | undefined;
}

/** Keys that only a start applies: what stands on them is open for as long as the process runs. */
const FOR_A_START = ['server.workers', 'server.maxHeaderBytes', 'storage', 'metadata', 'cache', 'cluster'];
/** Last parts of keys that may hold secrets. */
const SECRET = /password|secret|token|key$|auth|credential|connectionstring/i;
/** Keys below which a value may be one, whatever it is called: options are of plugins, and the URL of a webhook is often its password. */
const UNTOLD = /\.options\.|^(?:(?:policy|audit)\.)?webhooks\.|^tracing\.headers\./;
/** The place of a value that is not shown. */
export const HIDDEN = '(hidden)';

/** Compares two configurations. Of a mapping that only one of them has there is one change. */
export function configurationChanges(before: Config, after: Config): readonly ConfigurationChange[] {
  // Options of a plugin stand beside the keys that all have.
  return Array.from(changesAt('', told(before), told(after)), ({ key, ...change }) => ({
    key: key.replace(/^(storage|(?:repositories|scanners)\.[^.]+)\.options(?=\.)/, '$1'),
    ...change,
  }));
}

/** Finds changes that a running server cannot apply. */
export function restartProblems(before: Config, after: Config): readonly ConfigurationProblem[] {
  return configurationChanges(before, after)
    .filter(({ key }) => FOR_A_START.some((one) => key === one || key.startsWith(`${one}.`)))
    .map(({ key: path }) => needsRestart(path));
}

/** The problem of a change that a running server cannot apply. */
export function needsRestart(path: string): ConfigurationProblem {
  return { path, message: 'expected the value from before, since a change of it needs a restart; found another one' };
}

/** Leaves out what nobody wrote. */
export function told({ storage: { pluginsFrom: _folder, ...storage }, ...others }: Config): unknown {
  return { ...others, storage };
}

function* changesAt(key: string, before: unknown, after: unknown): Generator<ConfigurationChange> {
  if (isDeepStrictEqual(before, after)) return;
  if (before === undefined) yield { key, change: 'added', to: shown(key, after) };
  else if (after === undefined) yield { key, change: 'removed', from: shown(key, before) };
  else if (isDescended(before) && isDescended(after)) {
    const names = new Set([...Object.keys(before), ...Object.keys(after)]);
    for (const name of names) yield* changesAt(key === '' ? name : `${key}.${name}`, before[name], after[name]);
  } else yield { key, change: 'changed', from: shown(key, before), to: shown(key, after) };
}

/** Whether `value` is a mapping, or a list of mappings. */
function isDescended(value: unknown): value is Readonly<Record<string, unknown>> {
  return isRecord(value) || (Array.isArray(value) && value.some(isRecord));
}

function shown(key: string, value: unknown): string | undefined {
  if (isDescended(value)) return undefined;
  if (mayBeSecret(key)) return HIDDEN;
  return (Array.isArray(value) ? value : [value]).map((one) => withoutCredentials(String(one))).join(', ');
}

/** Whether the value of a key, with those above it, may be a secret. */
export function mayBeSecret(key: string): boolean {
  return UNTOLD.test(key) || SECRET.test(key.slice(key.lastIndexOf('.') + 1));
}

/** Hides the credentials and the query of a URL. */
export function withoutCredentials(text: string): string {
  if (!URL.canParse(text)) return text;
  const url = new URL(text);
  if (url.username === '' && url.password === '' && url.search === '') return text;
  return `${url.protocol}//${HIDDEN}@${url.host}${url.pathname}`;
}
