import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  API_VERSION,
  asEntrepotError,
  createToken,
  defineProtocolPlugin,
  EntrepotError,
  isCompatible,
  isDigest,
  packageUrl,
  parseHex,
  parseOptions,
  parseSri,
  printableUrl,
  strongest,
} from '../../src/index.js';

const sum = (algorithm: string, encoding: 'hex' | 'base64') => createHash(algorithm).update('x').digest(encoding);

describe('integrity', () => {
  it('reads every known part of an SRI string and passes over the rest', () => {
    const text = `sha1-${sum('sha1', 'base64')} sha999-abc sha512-short  sha512-${sum('sha512', 'base64')}?option`;
    expect(parseSri(text)).toEqual([
      { algorithm: 'sha1', hex: sum('sha1', 'hex') },
      { algorithm: 'sha512', hex: sum('sha512', 'hex') },
    ]);
    expect(strongest(parseSri(text)).map(({ algorithm }) => algorithm)).toEqual(['sha512']);
    expect(strongest([])).toEqual([]);
  });

  it('reads hex of either case and the right length', () => {
    expect(parseHex('sha1', sum('sha1', 'hex').toUpperCase())).toEqual({ algorithm: 'sha1', hex: sum('sha1', 'hex') });
    expect(parseHex('sha256', sum('sha1', 'hex'))).toBeUndefined();
    expect(parseHex('md5', 'z'.repeat(32))).toBeUndefined();
  });

  it('knows a digest', () => {
    expect(isDigest(`sha256:${sum('sha256', 'hex')}`)).toBe(true);
    expect(isDigest('sha256:../../etc/passwd')).toBe(false);
  });
});

describe('coordinates', () => {
  it.each([
    [{ ecosystem: 'npm', name: '@babel/core', version: '7.24.0' }, 'pkg:npm/%40babel/core@7.24.0'],
    [{ ecosystem: 'golang', name: 'github.com/acme/tool' }, 'pkg:golang/github.com/acme/tool'],
    [{ ecosystem: 'npm', name: 'x', version: '1.0.0+b c' }, 'pkg:npm/x@1.0.0%2Bb%20c'],
  ])('%o is %s', (coordinates, expected) => {
    expect(packageUrl(coordinates)).toBe(expected);
  });
});

describe('errors', () => {
  it('has one status a kind, and other ones where they are named', () => {
    expect(new EntrepotError('not-found', 'x')).toMatchObject({
      status: 404,
      code: 'NOT_FOUND',
      expose: true,
      staleAllowed: false,
    });
    expect(new EntrepotError('upstream-unavailable', 'x', { status: 504 })).toMatchObject({
      status: 504,
      staleAllowed: true,
    });
  });

  it('knows an error of another copy of core', () => {
    const foreign = Object.create({ [Symbol.for('entrepot:error')]: true }) as object;
    expect(foreign instanceof EntrepotError).toBe(true);
    expect(new Error('x') instanceof EntrepotError).toBe(false);
    const cause = new Error('inner');
    expect(asEntrepotError(cause, 'plugin', 'outer')).toMatchObject({ kind: 'plugin', message: 'outer', cause });
  });

  it('prints URLs without anything secret', () => {
    expect(printableUrl('https://user:pass@example.com/a?token=1#x')).toBe('https://example.com/a');
    expect(printableUrl('nonsense')).toBe('(not a URL)');
  });
});

describe('plugins', () => {
  it('stamps kind and version, and freezes', () => {
    const plugin = defineProtocolPlugin({
      id: 'x',
      options: { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } },
      inject: {},
      proxy: { classes: {}, create: () => ({ route: () => undefined }) },
    });
    expect(plugin).toMatchObject({ kind: 'protocol', apiVersion: API_VERSION });
    expect(Object.isFrozen(plugin)).toBe(true);
    expect([isCompatible(API_VERSION), isCompatible(API_VERSION + 1), isCompatible(0), isCompatible(1.5)]).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });

  it('names one service by one symbol', () => {
    expect(createToken('x', 'root').symbol).toBe(createToken('x', 'root').symbol);
  });

  it('lists everything that a schema finds wrong, by dotted path', async () => {
    const issues = [{ message: 'bad', path: ['a', { key: 0 }, 'b'] }, { message: 'worse' }];
    const schema = { '~standard': { version: 1 as const, vendor: 'test', validate: () => ({ issues }) } };
    expect(await parseOptions(schema, {})).toEqual({
      problems: [
        { path: 'a.0.b', message: 'bad' },
        { path: '', message: 'worse' },
      ],
    });
  });
});
