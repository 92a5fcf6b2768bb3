import { LineCounter, parseDocument } from 'yaml';
import type { ConfigurationProblem } from './configuration-error.js';

/** How often aliases may multiply what was written, against small files that unfold to gigabytes. */
const MAX_ALIASES = 100;

/**
 * The mapping that a YAML 1.2 text holds, or every fault of its form, each with line and column. Keys that are given
 * twice, unknown tags and tabs are faults.
 * @param name of the file, for the problems
 */
export function parseYaml(
  text: string,
  name: string,
): { readonly value: Readonly<Record<string, unknown>>; readonly problems: readonly ConfigurationProblem[] } {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const faults = [...document.errors, ...document.warnings];
  if (faults.length > 0) {
    return { value: {}, problems: faults.map(({ pos, message }) => problem(name, lines.linePos(pos[0]), message)) };
  }
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: MAX_ALIASES }) ?? {};
  } catch (error) {
    return { value: {}, problems: [{ path: name, message: aliasMessage(error) }] };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const message = 'expected a mapping of keys (server, storage, repositories …) at the top';
    return { value: {}, problems: [{ path: name, message }] };
  }
  return { value: value as Readonly<Record<string, unknown>>, problems: [] };
}

/** The value of a YAML scalar or flow collection, for environment variables; the fault's message when it is none. */
export function parseYamlValue(
  text: string,
): { readonly value: unknown; readonly fault?: undefined } | { readonly fault: string } {
  const document = parseDocument(text, { prettyErrors: false, uniqueKeys: true });
  const [fault] = [...document.errors, ...document.warnings];
  if (fault !== undefined) return { fault: firstLine(fault.message) };
  try {
    return { value: document.toJS({ maxAliasCount: MAX_ALIASES }) as unknown };
  } catch (error) {
    return { fault: aliasMessage(error) };
  }
}

function problem(name: string, { line, col }: { line: number; col: number }, message: string): ConfigurationProblem {
  return { path: `${name}:${line}:${col}`, message: `not valid YAML: ${firstLine(message)}` };
}

function aliasMessage(error: unknown): string {
  const message = error instanceof Error ? firstLine(error.message) : String(error);
  return `not valid YAML: ${message}`;
}

function firstLine(message: string): string {
  return message.split('\n', 1)[0] as string;
}
