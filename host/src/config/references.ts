import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import type { ConfigurationProblem } from './configuration-error.js';

/** A secret that is larger is none. */
const MAX_FILE_BYTES = 1024 * 1024;

const REFERENCE = /\$\$\{|\$\{(?<scheme>[a-z]+):(?<name>[^}]*)\}|\$\{/g;

/** The sources of references. */
export interface ReferenceSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The folder from which relative files are resolved. */
  readonly directory: string;
}

/**
 * A copy of `tree` in which every text has its `${env:NAME}` and `${file:PATH}` filled in; `$${` stands for `${`. What is
 * filled in is not searched again. A file loses one newline at its end. What is missing is a problem of its key.
 */
export function expandReferences(
  tree: unknown,
  sources: ReferenceSources,
): { readonly tree: unknown; readonly problems: readonly ConfigurationProblem[] } {
  const problems: ConfigurationProblem[] = [];
  return { tree: expand(tree, [], sources, problems), problems };
}

function expand(
  value: unknown,
  keys: readonly string[],
  sources: ReferenceSources,
  problems: ConfigurationProblem[],
): unknown {
  if (typeof value === 'string') return expandText(value, keys.join('.'), sources, problems);
  if (Array.isArray(value)) return value.map((one, index) => expand(one, [...keys, String(index)], sources, problems));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => [key, expand(one, [...keys, key], sources, problems)]),
  );
}

function expandText(text: string, key: string, sources: ReferenceSources, problems: ConfigurationProblem[]): string {
  return text.replace(REFERENCE, (match: string, ...rest: unknown[]) => {
    if (match === '$${') return '${';
    const { scheme, name = '' } = rest.at(-1) as { scheme?: string; name?: string };
    const found = look(scheme, name.trim(), sources);
    if ('value' in found) return found.value;
    problems.push({ path: key, message: found.problem });
    return match;
  });
}

function look(
  scheme: string | undefined,
  name: string,
  { env, directory }: ReferenceSources,
): { readonly value: string } | { readonly problem: string } {
  if (scheme === 'env' && name !== '') {
    const value = env[name];
    return value === undefined
      ? { problem: `the environment variable ${name} is not set; set it, or write the value here` }
      : { value };
  }
  if (scheme === 'file' && name !== '') return readSecret(path.resolve(directory, name));
  return { problem: 'expected ${env:NAME} or ${file:PATH}; write $${ for a plain ${' };
}

function readSecret(file: string): { readonly value: string } | { readonly problem: string } {
  try {
    const stat = statSync(file);
    if (!stat.isFile()) return { problem: `${file} is not a file` };
    if (stat.size > MAX_FILE_BYTES) return { problem: `${file} is larger than 1 MiB` };
    return { value: readFileSync(file, 'utf8').replace(/\r?\n$/, '') };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return { problem: code === 'ENOENT' ? `there is no file ${file}` : `the file ${file} cannot be read (${code})` };
  }
}
