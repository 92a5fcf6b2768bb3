import { parseDuration, parseSize, printDuration, printSize } from './quantities.js';

/** Collects the issues of a value: the context of zod's `transform`, and of similar libraries. */
export interface IssueContext {
  addIssue(issue: { readonly code: 'custom'; readonly message: string }): void;
}

/** An option that stands for a number. */
export interface QuantityOption {
  /** The message for an invalid value. */
  readonly expected: string;
  /** Parses `value`, for the `transform` of a schema. An invalid value becomes an issue. */
  readonly read: (value: string | number, context: IssueContext) => number;
}

export interface QuantityLimits {
  readonly least?: number | undefined;
  readonly most?: number | undefined;
  /** Whether `forever` or `unlimited` is allowed: `Infinity`. */
  readonly endless?: boolean | undefined;
}

/** The longest time that Node's timers hold: one that is longer would be over at once. Milliseconds. */
export const LONGEST_TIMEOUT = 24 * 86_400_000;

/** An option that is a duration; milliseconds. */
export function durationOption({ least = 0, most = Infinity, endless = false }: QuantityLimits = {}): QuantityOption {
  const ends = endless ? ', forever or never' : '';
  const within = most === Infinity ? '' : ` from ${printDuration(least)} to ${printDuration(most)},`;
  const examples = most === Infinity ? `500ms, 30s, 5m, 720h, 7d${least === 0 ? ' or 0' : ''}` : '30s or 5m';
  return option(`expected a duration${within} such as ${examples}${ends}`, parseDuration, { least, most, endless });
}

/** The option of a time limit that a timer can hold. */
export function timeoutOption(): QuantityOption {
  return durationOption({ least: 1, most: LONGEST_TIMEOUT });
}

/** An option that is a size; bytes. */
export function sizeOption({ least = 0, most = Infinity, endless = false }: QuantityLimits = {}): QuantityOption {
  const from = least <= 1 ? '' : `, at least ${printSize(least)}`;
  const to = most === Infinity ? '' : `, at most ${printSize(most)}`;
  const expected = `expected a size such as 64KiB, 10MB, 2GiB or a number of bytes${from}${to}${endless ? ', or unlimited' : ''}`;
  return option(expected, parseSize, { least, most, endless });
}

function option(
  expected: string,
  parse: (value: string | number) => number | undefined,
  { least, most, endless }: { readonly least: number; readonly most: number; readonly endless: boolean },
): QuantityOption {
  const fits = (value: number | undefined): value is number =>
    value !== undefined &&
    value >= least &&
    (value === Infinity ? endless : value <= Math.min(most, Number.MAX_SAFE_INTEGER));
  return {
    expected,
    read(value, context) {
      const found = parse(value);
      if (fits(found)) return Math.round(found);
      context.addIssue({ code: 'custom', message: expected });
      return Number.NaN;
    },
  };
}
