import { fieldsOf, isRecord, type Fields } from '@entrepot/core/formats';
import { CST, Lexer, LineCounter, parseDocument } from 'yaml';
import type { ConfigurationProblem } from './configuration-error.js';

/** The most by which aliases may multiply what was written, against small files that unfold to gigabytes. */
const MAX_ALIASES = 100;

/** The deepest nesting of brackets, and of list items on one line: the parser is recursive and would end the process. */
const MAX_DEPTH = 100;

/** A fault of a text, with its place. */
interface Fault {
  readonly message: string;
  readonly pos?: readonly [number, number];
}

/**
 * The mapping that a YAML 1.2 text holds, or every fault of its form, each with line and column. Keys that are given
 * twice, unknown tags and tabs are faults.
 * @param name of the file, for the problems
 */
export function parseYaml(
  text: string,
  name: string,
): { readonly value: Fields; readonly problems: readonly ConfigurationProblem[] } {
  const lines = new LineCounter();
  const { value, faults } = read(text, lines);
  const problems = faults.map(({ message, pos }) => {
    const { line, col } = lines.linePos(pos?.[0] ?? 0);
    return { path: pos === undefined ? name : `${name}:${line}:${col}`, message: notYaml(message) };
  });
  if (problems.length > 0) return { value: {}, problems };
  if (isRecord(value ?? {})) return { value: fieldsOf(value), problems };
  const message = 'expected a mapping of keys (server, storage, repositories …) at the top';
  return { value: {}, problems: [{ path: name, message }] };
}

/** The value of a YAML scalar or flow collection, for environment variables; the fault's message when it is none. */
export function parseYamlValue(
  text: string,
): { readonly value: unknown; readonly fault?: undefined } | { readonly fault: string } {
  const {
    value,
    faults: [fault],
  } = read(text, new LineCounter());
  return fault === undefined ? { value } : { fault: notYaml(fault.message) };
}

function read(text: string, lineCounter: LineCounter): { readonly value?: unknown; readonly faults: readonly Fault[] } {
  if (isTooDeep(text)) return { faults: [{ message: 'it is nested too deeply' }] };
  try {
    const document = parseDocument(text, { lineCounter, prettyErrors: false, uniqueKeys: true });
    const faults = [...document.errors, ...document.warnings];
    return faults.length > 0 ? { faults } : { value: document.toJS({ maxAliasCount: MAX_ALIASES }), faults };
  } catch (error) {
    // Thrown instead of reported: aliases without an anchor, or without end.
    return { faults: [{ message: error instanceof Error ? error.message : String(error) }] };
  }
}

/** The library draws the place below its message. */
function notYaml(message: string): string {
  return `not valid YAML: ${message.split('\n', 1)[0] ?? ''}`;
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
