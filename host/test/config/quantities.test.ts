import { describe, expect, it } from 'vitest';
import { parseDuration, parseSize, printDuration, printSize } from '@entrepot/core';
import { duration, endlessDuration, endlessSize, size, timeout } from '../../src/config/quantities.js';

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

  it('allow forever only where it makes sense', () => {
    expect(endlessDuration().parse('forever')).toBe(Infinity);
    expect(duration().safeParse('forever').success).toBe(false);
    expect(timeout().safeParse('never').success).toBe(false);
  });

  it('refuse time limits that a timer cannot hold', () => {
    expect(timeout().parse('24d')).toBe(2_073_600_000);
    expect(timeout().safeParse('25d').success).toBe(false);
    expect(timeout().safeParse('0').success).toBe(false);
    expect(timeout().safeParse('0.4ms').success).toBe(false);
  });

  it('refuse a number that has no unit, but 0', () => {
    expect(duration().parse(0)).toBe(0);
    expect(duration().safeParse(30).success).toBe(false);
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

  it('allow unlimited only where it makes sense, and keep their lower bound', () => {
    expect(endlessSize().parse('unlimited')).toBe(Infinity);
    expect(size().safeParse('unlimited').success).toBe(false);
    expect(size({ least: 1024 }).safeParse('1023').success).toBe(false);
    expect(size({ least: 1024 }).parse('1KiB')).toBe(1024);
  });
});
