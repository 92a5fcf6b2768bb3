import {
  comparePythonVersions,
  normalisePythonVersion,
  parsePythonVersion,
  pythonVersionIdentity,
} from '../../src/formats/index.js';
import { describe, expect, it } from 'vitest';

// The cases are those of pypa/packaging, tests/test_version.py.

/** In their order, for each epoch. */
const ORDER = `1.0.dev0 1.0.dev456 1.0.dev456+local 1.0a0 1.0a0.post0.dev0 1.0a0.post0 1.0a1.dev1 1.0a1.dev1+local 1.0a1
  1.0a1+local 1.0b0 1.0b1.dev456 1.0b2 1.0b2.post345.dev456 1.0b2.post345 1.0b2-346 1.0rc0 1.0rc1.dev1 1.0c1 1.0rc2 1.0
  1.0.post0.dev0 1.0.post0 1.0.post456.dev34 1.0.post456 1.0.post456+local 1.0.1.dev1 1.0.1a1 1.0.1 1.0.1+local 1.0.1.post1
  1.1.dev1 1.2+a 1.2+abc 1.2+abcdef 1.2+def 1.2+0 1.2+1 1.2+1.abc 1.2+1.1 1.2+1.1.0 1.2+2 1.2+123 1.2+123456 1.2.r32+123456
  1.2.rev33+123456`.split(/\s+/);

const INVALID = [
  '',
  'lolwat',
  'french toast',
  '1.0+a+',
  '1.0++',
  '1.0+_foobar',
  '1.0+foo&asd',
  '1.0+1+1',
  '1. 0',
  '1 .0',
  '1. 0a1',
  '1 .0a1',
  '1.0 a1',
  '1.0a 1',
  '٠١٢.٣٤٥.٦٧٨٩',
  '.',
  '..',
  '1..0',
  '1.0.',
  '.1.0',
  '1..2.3',
  '1.0+\u0130',
  '1.0+\u212a',
  '1'.repeat(5000),
  `1.0a${'1'.repeat(5000)}`,
  `1.0${'a'.repeat(60)}~`,
];

/** The suffixes that mean the same, behind `1.0`, in any case. */
const SUFFIXES: readonly (readonly [normal: string, suffixes: string])[] = [
  ['1.0.dev0', 'dev .dev -dev _dev dev0 dev00'],
  ['1.0.dev1', 'dev1 .dev1 -dev1 _dev_1'],
  ['1.0a0', 'a .a -a alpha .alpha -alpha'],
  ['1.0a1', 'a1 .a1 -a1 .alpha1 -alpha1 a-1 a.01'],
  ['1.0b0', 'b .b -b beta .beta -beta'],
  ['1.0b1', 'b1 .b1 -b1 .beta1 -beta1'],
  ['1.0rc0', 'c .c -c rc .rc -rc pre -preview'],
  ['1.0rc1', 'c1 .c1 -c1 rc1 .rc1 -rc1 pre1 -preview-1'],
  ['1.0.post0', 'post .post -post r rev .post000'],
  ['1.0.post1', 'post1 .post1 -post1 .r1 .rev1 -1'],
  ['1.0.post5', '-5 -r5 -rev5'],
];

const NORMAL: readonly (readonly [text: string, normal: string])[] = [
  ['1.0+AbC', '1.0+abc'],
  ['1.0+Ubuntu_1-02', '1.0+ubuntu.1.2'],
  ['1.2+123abc456', '1.2+123abc456'],
  ['1.01', '1.1'],
  ['1.0c056', '1.0rc56'],
  ['1.1.dev09000', '1.1.dev9000'],
  ['00!1.2', '1.2'],
  ['0100!0.0', '100!0.0'],
  ['7!1.0b2.post345.dev456', '7!1.0b2.post345.dev456'],
  ['v1.0', '1.0'],
  ['   v1.0\t\n', '1.0'],
  ['not-a-version', 'not-a-version'],
  [`1.${'0'.repeat(500)}`, `1.${'0'.repeat(500)}`],
];

function compare(one: string, other: string): number {
  const [left, right] = [parsePythonVersion(one), parsePythonVersion(other)];
  if (left === undefined || right === undefined) throw new Error(`no version: ${one} or ${other}`);
  return comparePythonVersions(left, right);
}

describe('versions of Python', () => {
  it('are in the order that packaging has', () => {
    const all = [...ORDER, ...ORDER.map((version) => `1!${version}`)];
    for (const [place, one] of all.entries()) {
      for (const [other, compared] of all.entries()) {
        expect(compare(one, compared), `${one} ${compared}`).toBe(Math.sign(place - other));
      }
    }
  });

  it.each(INVALID.map((text) => [text.slice(0, 20), text]))('are not %j', (_, text) => {
    expect(parsePythonVersion(text)).toBeUndefined();
    expect(normalisePythonVersion(text)).toBe(text);
    expect(pythonVersionIdentity(text)).toBe(text);
  });

  it.each(SUFFIXES)('are %s with each of the suffixes %s', (normal, suffixes) => {
    for (const suffix of suffixes.split(' ')) {
      for (const text of [`1.0${suffix}`, `1.0${suffix.toUpperCase()}`]) {
        expect([text, normalisePythonVersion(text)]).toEqual([text, normal]);
        expect([text, compare(text, normal)]).toEqual([text, 0]);
      }
    }
  });

  it.each(NORMAL)('%j are written %j', (text, normal) => {
    expect(normalisePythonVersion(text)).toBe(normal);
  });

  it('are equal without the zeros at their end, and have one identity then', () => {
    for (const [one, other] of [
      ['1', '1.0.0'],
      ['0', '0.0'],
      ['1.0a1', '1.0.0.ALPHA1'],
      ['1.0.post1', '1-1'],
      ['1.0.dev1', '1.dev1'],
      ['1.0+local', '1+LOCAL'],
      ['1!1.0', '1!1'],
    ] as const) {
      expect(compare(one, other)).toBe(0);
      expect(pythonVersionIdentity(one)).toBe(pythonVersionIdentity(other));
    }
    const different = ['1.0', '10', '1.0.1', '1.1', '1.10', '1!1', '1+local', '1.0.0a1', '1.0.post0'];
    expect(new Set(different.map(pythonVersionIdentity)).size).toBe(different.length);
  });

  it.each(['0', '0.0', '1.0.0', '10', '10.20.0', '0.10', '1.00', '01.2', '100.0.0.0', `1${'.0'.repeat(98)}`])(
    'of numbers alone are read as all others: %s',
    (text) => {
      // What has a `v` in front is never plain.
      expect(parsePythonVersion(text)).toEqual(parsePythonVersion(`v${text}`));
      expect(normalisePythonVersion(text)).toBe(normalisePythonVersion(`v${text}`));
      expect(pythonVersionIdentity(text)).toBe(pythonVersionIdentity(`v${text}`));
    },
  );

  it('that are too long are none, also of numbers alone', () => {
    const text = `1${'.0'.repeat(100)}`;
    expect([parsePythonVersion(text), pythonVersionIdentity(text)]).toEqual([undefined, text]);
  });

  it('have numbers that are longer than a double counts', () => {
    expect(compare('2024.99999999999999999998', '2024.99999999999999999999')).toBe(-1);
  });
});
