import { describe, expect, it } from 'vitest';
import { duration, endlessDuration, endlessSize, size, timeout } from '../../src/config/quantities.js';

describe('durations', () => {
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
  it('allow unlimited only where it makes sense, and keep their lower bound', () => {
    expect(endlessSize().parse('unlimited')).toBe(Infinity);
    expect(size().safeParse('unlimited').success).toBe(false);
    expect(size({ least: 1024 }).safeParse('1023').success).toBe(false);
    expect(size({ least: 1024 }).parse('1KiB')).toBe(1024);
  });
});
