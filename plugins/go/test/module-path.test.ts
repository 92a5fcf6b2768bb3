import { describe, expect, it } from 'vitest';
import { isFilePath, isModulePath, isVersionOf } from '../src/module-path.js';

/** Verdicts of golang.org/x/mod/module: on a module's path (CheckPath), and on a file's (CheckFilePath). */
const PATHS: readonly (readonly [path: string, module: boolean, file: boolean])[] = [
  ['x.y/z', true, true],
  ['x.y', true, true],
  ['', false, false],
  ['/x.y/z', false, false],
  ['x./z', false, false],
  ['.x/z', false, true],
  ['-x/z', false, true],
  ['-', false, true],
  ['x.y/-z', true, true],
  ['x..y/z', true, true],
  ['x.y/../w', false, false],
  ['x.y//z', false, false],
  ['x.y/z/', false, false],
  ['x.y/z/v0', false, true],
  ['x.y/z/v1', false, true],
  ['x.y/z/v2', true, true],
  ['x.y/z/v02', false, true],
  ['x.y/z/v2.0', false, true],
  ['X.y/z', false, true],
  ['x.y/Z', true, true],
  ['x.y/.z', false, true],
  ['x.y/z.', false, false],
  ['x.y/aux.foo', false, false],
  ['x.y/prn', false, false],
  ['x.y/prn2', true, true],
  ['x.y/com', true, true],
  ['x.y/CoM1.txt', false, false],
  ['x.y/z~', true, true],
  ['x.y/z~09', false, true],
  ['x.y/z~09.a', false, true],
  ['x.y/a.z~09', true, true],
  ['x.y/z09~09z', true, true],
  ['gopkg.in/yaml', false, true],
  ['gopkg.in/yaml.v0', true, true],
  ['gopkg.in/yaml.v02', false, true],
  ['gopkg.in/a/yaml.v2-unstable', true, true],
  ['x.y/\u0438\u0441', false, true],
  ['x.y/\u263a', false, false],
  ['x.y/a\u0000', false, false],
];

/** The signs that golang.org/x/mod/module lets stand in the elements of each kind, besides letters and digits. */
const SIGNS = { first: '-.', module: '-._~', file: '!#$%&()+,-.=@[]^_{}~ ' };

describe('paths', () => {
  it.each(PATHS)('%j is a module: %s, a file: %s', (path, module, file) => {
    expect([isModulePath(path), isFilePath(path)]).toEqual([module, file]);
  });

  it('have the signs that Go lets stand in them', () => {
    const signs = Array.from({ length: 95 }, (_, at) => String.fromCharCode(0x20 + at)).filter(
      (sign) => !/[A-Za-z0-9/]/.test(sign),
    );
    const taken = (is: (path: string) => boolean, around: (sign: string) => string): string =>
      signs.filter((sign) => is(around(sign))).join('');
    const sorted = (text: string): string => [...text].sort().join('');
    expect(taken(isModulePath, (sign) => `x.y${sign}a/z`)).toBe(sorted(SIGNS.first));
    expect(taken(isModulePath, (sign) => `x.y/a${sign}z`)).toBe(sorted(SIGNS.module));
    expect(taken(isFilePath, (sign) => `a${sign}z`)).toBe(sorted(SIGNS.file));
  });

  it.each([
    ['x.y/z', 'v1.0.0', true],
    ['x.y/z', 'v2.0.0', false],
    ['x.y/z', 'v17.0.0+incompatible', true],
    ['x.y/z', '1.0.0', false],
    ['x.y/z', 'v1.0', false],
    ['x.y/z', 'v1.0.0+meta', false],
    ['x.y/z', 'v1.0.0-01', false],
    ['x.y/z/v2', 'v1.0.0', false],
    ['x.y/z/v2', 'v2.1.5', true],
    ['gopkg.in/yaml.v0', 'v0.8.0', true],
    ['gopkg.in/yaml.v1', 'v0.8.0', false],
    ['gopkg.in/yaml.v2-unstable', 'v2.0.0', true],
    ['gopkg.in/check.v1', 'v0.0.0', false],
    ['gopkg.in/check.v1', 'v0.0.0-20160102150405-abcdef123456', true],
  ])('%s@%s is a version: %s', (path, version, wanted) => {
    expect(isVersionOf(path, version)).toBe(wanted);
  });
});
