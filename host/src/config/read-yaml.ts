import { CST, Lexer, LineCounter, parseDocument } from 'yaml';
import type { ConfigurationProblem } from './configuration-error.js';

/** How often aliases may multiply what was written, against small files that unfold to gigabytes. */
const MAX_ALIASES = 100;

/** How deep brackets, and list items on one line, may be nested: the parser is recursive and would end the process. */
const MAX_DEPTH = 100;
const TOO_DEEP = 'it is nested too deeply';

/**
 * The mapping that a YAML 1.2 text holds, or every fault of its form, each with line and column. Keys that are given
 * twice, unknown tags and tabs are faults.
 * @param name of the file, for the problems
 */
export function parseYaml(
  text: string,
  name: string,
): { readonly value: Readonly<Record<string, unknown>>; readonly problems: readonly ConfigurationProblem[] } {
  if (isTooDeep(text)) return { value: {}, problems: [{ path: name, message: `not valid YAML: ${TOO_DEEP}` }] };
  const lines = new LineCounter();
  let value: unknown;
  try {
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
    const faults = [...document.errors, ...document.warnings];
    if (faults.length > 0) {
      return { value: {}, problems: faults.map(({ pos, message }) => problem(name, lines.linePos(pos[0]), message)) };
    }
    value = document.toJS({ maxAliasCount: MAX_ALIASES }) ?? {};
  } catch (error) {
    return { value: {}, problems: [{ path: name, message: `not valid YAML: ${refusal(error)}` }] };
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
  if (isTooDeep(text)) return { fault: `not valid YAML: ${TOO_DEEP}` };
  try {
    const document = parseDocument(text, { prettyErrors: false, uniqueKeys: true });
    const [fault] = [...document.errors, ...document.warnings];
    if (fault !== undefined) return { fault: `not valid YAML: ${firstLine(fault.message)}` };
    return { value: document.toJS({ maxAliasCount: MAX_ALIASES }) as unknown };
  } catch (error) {
    return { fault: `not valid YAML: ${refusal(error)}` };
  }
}

function problem(name: string, { line, col }: { line: number; col: number }, message: string): ConfigurationProblem {
  return { path: `${name}:${line}:${col}`, message: `not valid YAML: ${firstLine(message)}` };
}

function isTooDeep(text: string): boolean {
  let brackets = 0;
  let items = 0;
  for (const token of new Lexer().lex(text)) {
    const type = CST.tokenType(token);
    if (type === 'flow-seq-start' || type === 'flow-map-start') brackets += 1;
    else if (type === 'flow-seq-end' || type === 'flow-map-end') brackets -= 1;
    else if (type === 'seq-item-ind' || type === 'explicit-key-ind') items += 1;
    else if (type === 'newline') items = 0;
    if (brackets > MAX_DEPTH || items > MAX_DEPTH) return true;
  }
  return false;
}

/**
 * The message of an error that the parser throws instead of reporting it: aliases without an anchor, or without end.
 */
function refusal(error: unknown): string {
  return error instanceof Error ? firstLine(error.message) : String(error);
}

function firstLine(message: string): string {
  return message.split('\n', 1)[0] as string;
}
