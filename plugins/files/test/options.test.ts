import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { parseDuration } from '@entrepot/core/formats';
import { openTestRepository } from '@entrepot/core/testing';
import { filesOptions } from '../src/options.js';
import plugin from '../src/index.js';
import { optionsOf, problemsOf } from './fixtures.js';

describe('parseDuration', () => {
  it.each([
    ['250ms', 250],
    ['5m', 300_000],
    ['1h30m', 5_400_000],
    ['1.5h', 5_400_000],
    ['7d', 604_800_000],
    ['2w', 1_209_600_000],
    ['0', 0],
    ['forever', Infinity],
    ['never', Infinity],
    ['', undefined],
    ['5', undefined],
    ['-5m', undefined],
    ['5 m', undefined],
    ['5y', undefined],
  ])('%s is %s', (text, expected) => {
    expect(parseDuration(text)).toBe(expected);
  });
});

describe('the options', () => {
  it('have defaults for every key', async () => {
    expect(await optionsOf({})).toEqual({
      table: {
        rules: [{ index: 0, label: 'the default policy', matches: undefined, policy: 'revalidate', freshness: {} }],
        sidecars: [],
      },
      query: 'keep',
      passHeaders: [],
      passRequestHeaders: [],
      types: { byName: false, byExtension: {} },
      attachment: false,
      overwrite: false,
      allowDelete: true,
      maxBytes: 5 * 1024 ** 3,
    });
  });

  it.each(['Set-Cookie', 'content-length', 'bad header', 'connection'])('refuse to pass %s', async (name) => {
    await expect(optionsOf({ passHeaders: [name] })).rejects.toThrow(/header/);
  });

  it.each(['Authorization', 'cookie', 'Range', 'if-none-match', 'X-Forwarded-For', 'host', 'a b'])(
    'refuse to send %s upstream',
    async (name) => {
      await expect(optionsOf({ passRequestHeaders: [name] })).rejects.toThrow(/header/);
    },
  );

  it.each([{ whl: 'application/zip' }, { '.whl': 'zip' }, { '.whl': 'a/b\r\nX: y' }])('refuse %j', async (types) => {
    await expect(optionsOf({ mediaTypes: types })).rejects.toThrow(/extension|media type/);
  });

  it('take every freshness word in a rule, in milliseconds', async () => {
    const rule = {
      match: '**',
      policy: 'revalidate',
      fresh_for: '30s',
      expireAfter: 'never',
      busy_policy: 'stale',
      staleIfError: '1d',
      staleAfter: '500ms',
      staleWhileRevalidate: '10s',
      negativeFor: 0,
      onGone: 'keep',
      respectNoStore: false,
    };
    const { table } = await optionsOf({ rules: [rule] });
    expect(table.rules[0]?.freshness).toEqual({
      freshFor: 30_000,
      expireAfter: Infinity,
      busy: 'stale',
      staleIfError: 86_400_000,
      staleAfter: 500,
      staleWhileRevalidate: 10_000,
      negativeFor: 0,
      onGone: 'keep',
      respectNoStore: false,
    });
  });

  it.each([
    ['1024', 1024],
    [1024, 1024],
    ['500MiB', 500 * 1024 ** 2],
  ])('read the size %s', async (maxBytes, expected) => {
    expect((await optionsOf({ maxBytes })).maxBytes).toBe(expected);
  });

  const glob = (rest: object) => ({ rules: [{ match: '**', policy: 'immutable', ...rest }] });
  it.each([
    [{ rulez: [] }, /rulez/],
    [glob({ fresh: '5m' }), /^rules\.0: .*fresh/],
    [glob({ freshFor: '5 minutes' }), /^rules\.0\.freshFor: expected a duration/],
    [glob({ policy: 'cache' }), /^rules\.0\.policy/],
    [glob({ match: 'a[' }), /^rules\.0\.match: a \[ is not closed/],
    [glob({ match: { regex: '(?=a)' } }), /^rules\.0\.match: .*\(\?=/],
    [glob({ match: { regex: 'a'.repeat(5000) } }), /4096 characters/],
    [glob({ checksum: { sha256: 'abc' } }), /^rules\.0\.checksum: sha256: expected a sum/],
    [glob({ checksum: {} }), /either sums/],
    [glob({ checksum: { sidecar: '../SUMS' } }), /^rules\.0\.checksum\.sidecar/],
    [glob({ policy: 'revalidate', checksum: { sidecar: '.sha256' } }), /needs policy: immutable/],
    [glob({ freshFor: '1m', fresh_for: '1m' }), /one key/],
    [{ immutablePatterns: ['('] }, /^immutablePatterns\.0: /],
    [{ immutablePatterns: ['a'], immutable_patterns: ['a'] }, /one key/],
    [{ immutablePatterns: ['a'], defaultPolicy: 'bypass' }, /cannot stand beside/],
    [{ maxBytes: '5 apples' }, /expected a size/],
    [{ maxBytes: -1 }, /expected a size/],
    [{ query: 'drop' }, /^query/],
  ])('refuse %j', async (written, expected) => {
    expect((await problemsOf(written)).join('\n')).toMatch(expected);
  });

  it('tell all problems at once', async () => {
    const rules = [
      { match: 'a[', policy: 'deny' },
      { match: '**', policy: 'deny', freshFor: 'x' },
    ];
    expect(await problemsOf({ rules, overwrite: 1 })).toHaveLength(3);
  });

  it('can be printed as JSON Schema', () => {
    const schema = z.toJSONSchema(filesOptions, { io: 'input' });
    expect(schema).toMatchObject({ type: 'object', additionalProperties: false });
    expect(Object.keys(schema.properties ?? {})).toContain('rules');
  });

  it('are refused in the wrong kind of repository', async () => {
    const opened = (options: object, kind: 'proxy' | 'hosted') =>
      openTestRepository({ plugin, options, definition: { kind } });
    await expect(opened({ overwrite: true }, 'proxy')).rejects.toThrow('overwrite: not an option of kind: proxy');
    await expect(opened({ rules: [] }, 'hosted')).rejects.toThrow('rules: not an option of kind: hosted');
  });
});
