import { describe, expect, it } from 'vitest';
import {
  durationOption,
  parseDuration,
  parseSize,
  printDuration,
  printSize,
  sizeOption,
  timeoutOption,
  type QuantityOption,
} from '../../src/formats/index.js';
import { pick } from '@entrepot/fixtures/random-json';
import { pseudoRandom } from '../../src/testing/index.js';

describe('durations', () => {
  it.each([
    ['500ms', 500],
    ['30s', 30_000],
    ['5m', 300_000],
    ['720h', 2_592_000_000],
    ['7d', 604_800_000],
    ['1.5h', 5_400_000],
    ['1h30m', 5_400_000],
    ['2w', 1_209_600_000],
    ['0', 0],
    [0, 0],
    ['forever', Infinity],
    ['never', Infinity],
  ])('reads %s as %d ms', (text, expected) => {
    expect(parseDuration(text)).toBe(expected);
  });

  it.each(['', '5', '5 m', '5M', '-5m', '5y', 'm', '1h 30m', `${'1h'.repeat(40)}`, 'Infinity', 'NaN', '1e3s', '٣s'])(
    'refuses %j',
    (text) => {
      expect(parseDuration(text)).toBeUndefined();
    },
  );

  it.each([
    [0, '0'],
    [1500, '1500ms'],
    [30_000, '30s'],
    [2_592_000_000, '30d'],
    [Infinity, 'forever'],
  ])('prints %d ms as %s', (milliseconds, expected) => {
    expect(printDuration(milliseconds)).toBe(expected);
  });
});

describe('sizes', () => {
  it.each([
    ['64KiB', 65_536],
    ['10MB', 10_000_000],
    ['10kB', 10_000],
    ['10KB', 10_000],
    ['1.5GiB', 1_610_612_736],
    ['1 TiB', 1_099_511_627_776],
    ['20', 20],
    [20, 20],
    [0, 0],
    ['7B', 7],
    ['unlimited', Infinity],
  ])('reads %s as %d bytes', (text, expected) => {
    expect(parseSize(text)).toBe(expected);
  });

  it.each(['', '-1', -1, '10mb', '10M', '1 000', 'Infinity', NaN, Infinity, '1e9'])('refuses %j', (text) => {
    expect(parseSize(text)).toBeUndefined();
  });

  it.each([
    [20, '20B'],
    [65_536, '64KiB'],
    [1_610_612_736, '1.5GiB'],
    [Infinity, 'unlimited'],
  ])('prints %d bytes as %s', (bytes, expected) => {
    expect(printSize(bytes)).toBe(expected);
  });
});

/** The number, or what is said of a value that is none. */
function read(option: QuantityOption, value: string | number): number | string {
  const issues: string[] = [];
  const found = option.read(value, { addIssue: ({ message }) => void issues.push(message) });
  expect(issues.length).toBe(Number.isNaN(found) ? 1 : 0);
  return issues[0] ?? found;
}

describe('options', () => {
  it.each([
    [durationOption(), '0', 0],
    [durationOption(), 'forever', 'expected a duration such as 500ms, 30s, 5m, 720h, 7d or 0'],
    [durationOption({ endless: true }), 'forever', Infinity],
    [durationOption({ least: 1 }), '0', 'expected a duration such as 500ms, 30s, 5m, 720h, 7d'],
    [timeoutOption(), '24d', 2_073_600_000],
    [timeoutOption(), '25d', 'expected a duration from 1ms to 24d, such as 30s or 5m'],
    [timeoutOption(), 'forever', 'expected a duration from 1ms to 24d, such as 30s or 5m'],
    [sizeOption(), 'unlimited', 'expected a size such as 64KiB, 10MB, 2GiB or a number of bytes'],
    [sizeOption({ endless: true }), 'unlimited', Infinity],
    [sizeOption({ least: 1024 }), 1023, expect.stringMatching(/, at least 1KiB$/)],
    [sizeOption({ most: 2 ** 30 }), '2GiB', expect.stringMatching(/, at most 1GiB$/)],
    [sizeOption(), '9999999TiB', expect.stringMatching(/^expected a size/)],
  ])('%# reads %j as %j', (option, value, expected) => expect(read(option, value)).toEqual(expected));
});

it('read any text without an error, and print what they read', () => {
  const random = pseudoRandom(17);
  const parts = [
    '1',
    '30',
    '0',
    '.5',
    'ms',
    's',
    'm',
    'h',
    'd',
    'w',
    ' ',
    'KiB',
    'MB',
    'B',
    'forever',
    '-',
    'e3',
    '\u0000',
  ];
  const found = { durations: 0, sizes: 0 };
  for (let round = 0; round < 20_000; round += 1) {
    const text = Array.from({ length: Math.floor(random() * 6) }, () => pick(random, parts)).join('');
    const [duration, size] = [parseDuration(text), parseSize(text)];
    if (duration !== undefined) found.durations += 1;
    if (size !== undefined) found.sizes += 1;
    if (duration !== undefined && Number.isInteger(duration))
      expect(parseDuration(printDuration(duration))).toBe(duration);
    for (const one of [duration, size]) expect(one === undefined || one >= 0).toBe(true);
  }
  expect(found.durations).toBeGreaterThan(100);
  expect(found.sizes).toBeGreaterThan(100);
});
