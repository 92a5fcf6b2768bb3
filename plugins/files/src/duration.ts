const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

const DURATION = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w))+$/;

/** The milliseconds of `5m`, `1h30m`, `0`; `Infinity` for `forever` and `never`; `undefined` for anything else. */
export function parseDuration(text: string): number | undefined {
  if (text === 'forever' || text === 'never') return Infinity;
  if (text === '0') return 0;
  if (text.length > 64 || !DURATION.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d|w)/g)) {
    total += Number(amount) * (UNITS[unit as string] as number);
  }
  return total;
}
