import { TextDecoder } from 'node:util';
import {
  boolYaml11Tag,
  FAILSAFE_SCHEMA,
  floatYaml11Tag,
  intYaml11Tag,
  loadAll,
  mergeTag,
  NOT_RESOLVED,
  nullYaml11Tag,
  YAMLException,
} from 'js-yaml';
import { ChartError } from './chart-error.js';

const INTEGER = /^[-+]?(?:0b[01]+|0x[0-9a-fA-F]+|0o?[0-7]+|0|[1-9][0-9]*)$/;
const FLOAT = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/;
const INFINITE = /^(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/;
const LARGEST_INTEGER = 2n ** 64n;

/**
 * Scalars as go-yaml v2 reads them, and so helm: YAML 1.1 words, octal numbers, no dates, no numbers to base 60. Integers
 * that a number cannot hold are bigints.
 */
const SCHEMA = FAILSAFE_SCHEMA.withTags(
  nullYaml11Tag,
  boolYaml11Tag,
  { ...intYaml11Tag, resolve: (text) => integer(text.replaceAll('_', '')) ?? NOT_RESOLVED },
  { ...floatYaml11Tag, resolve: (text) => float(text) ?? NOT_RESOLVED },
  mergeTag,
);

/** A number that was not written as an integer: as text, Go prints `1e6` and `1000000` differently. */
class Float {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

/** The deepest nesting of a document. */
const DEEPEST = 100;

/**
 * Parses the first document of `text`, as helm reads it.
 * @param duplicates of a key: refused (indexes), or the last one wins (Chart.yaml)
 * @returns `undefined` for a text without a document
 * @throws ChartError
 */
export function parseYaml(text: string, duplicates: 'refuse' | 'last'): unknown {
  try {
    return loadAll(text, { schema: SCHEMA, json: duplicates === 'last', maxDepth: DEEPEST })[0];
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    const line = error.mark === undefined ? '' : ` in line ${error.mark.line + 1}`;
    throw new ChartError(`malformed YAML${line}: ${error.reason.slice(0, 200)}`);
  }
}

/**
 * Decodes UTF-8, or UTF-16 with a byte order mark, which YAML allows and helm reads.
 * @throws ChartError for other bytes
 */
export function decodeYaml(bytes: Uint8Array): string {
  try {
    return textDecoder(bytes).decode(bytes);
  } catch {
    throw new ChartError('expected text in UTF-8');
  }
}

/** Makes a decoder for a text that begins with `start`. It throws on bytes that are no text. */
export function textDecoder(start: Uint8Array): TextDecoder {
  const encoding =
    start[0] === 0xff && start[1] === 0xfe ? 'utf-16le' : start[0] === 0xfe && start[1] === 0xff ? 'utf-16be' : 'utf-8';
  return new TextDecoder(encoding, { fatal: true });
}

/** Gives the text that helm makes of a scalar (sigs.k8s.io/yaml): `1.10` is `1.1`. `undefined`: no scalar. */
export function scalarText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  if (value instanceof Float) return floatText(value.value);
  return typeof value === 'number' ? String(value) : undefined;
}

/** Bounds what is read: a few hundred bytes of aliases can stand for gigabytes. */
export class Budget {
  readonly #limit: number;
  #spent = 0;

  /** @param limit nodes and characters */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get spent(): number {
    return this.#spent;
  }

  /** @throws ChartError when more was read than allowed */
  spend(amount: number): void {
    this.#spent += amount;
    if (this.#spent > this.#limit) throw new ChartError('expands to more than is allowed');
  }

  /**
   * Copies `value` to a tree that JSON can print, without bigints.
   * @throws ChartError
   */
  plain(value: unknown): unknown {
    this.spend(1);
    if (typeof value === 'string') this.spend(value.length);
    if (typeof value === 'bigint') return Number(value);
    if (value instanceof Float) return Number.isFinite(value.value) ? value.value : null;
    if (Array.isArray(value)) return value.map((member) => this.plain(member));
    if (typeof value !== 'object' || value === null) return value ?? null;
    return Object.fromEntries(
      Object.entries(value).map(([key, member]) => {
        this.spend(key.length);
        return [key, this.plain(member)];
      }),
    );
  }
}

/** `undefined` where Go's `ParseInt` with base 0 and 64 bits fails. */
function integer(text: string): number | bigint | undefined {
  if (text.length > 80 || !INTEGER.test(text)) return undefined;
  const negative = text.startsWith('-');
  const digits = text.replace(/^[-+]/, '').replace(/^0(?=[0-7])/, '0o');
  const value = negative ? -BigInt(digits) : BigInt(digits);
  if (value >= LARGEST_INTEGER || value < -LARGEST_INTEGER / 2n) return undefined;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function float(text: string): Float | undefined {
  if (INFINITE.test(text)) return new Float(Number(text.replace(/\.inf/i, 'Infinity').replace(/\.nan/i, 'NaN')));
  const plain = text.replaceAll('_', '');
  const value = FLOAT.test(plain) ? Number(plain) : Infinity;
  // Text that is too large for a number stays text: `12e4567` is a commit.
  return Number.isFinite(value) ? new Float(value) : undefined;
}

/** Go's `FormatFloat(value, 'g', -1, 32)`: the fewest digits that are the same number in single precision. */
function floatText(value: number): string {
  const single = Math.fround(value);
  if (Number.isNaN(single)) return 'NaN';
  if (!Number.isFinite(single)) return single > 0 ? '+Inf' : '-Inf';
  let digits = 1;
  while (digits < 9 && Math.fround(Number(single.toPrecision(digits))) !== single) digits += 1;
  const [mantissa = '', power = ''] = single.toExponential(digits - 1).split('e');
  const exponent = Number(power);
  if (exponent >= -4 && exponent < 6) {
    return Object.is(single, -0)
      ? '-0'
      : Number(single.toPrecision(digits)).toFixed(Math.max(0, digits - 1 - exponent));
  }
  return `${mantissa}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
}
