import { describe, expect, it } from 'vitest';
import { DEFAULT_FRESHNESS, type Entry } from '../../src/index.js';
import { forbidsStoring, standing } from '../../src/engine/fetch/freshness.js';
import { cacheStatus } from '../../src/engine/reply/outcome.js';
import { ifRangeMatches, noneMatch, parseRange } from '../../src/engine/reply/range.js';
import { parseRequestPath } from '../../src/engine/request/request-path.js';
import { parseRetryAfter } from '../../src/engine/upstream/upstream-reply.js';

describe('parseRequestPath', () => {
  it.each([
    ['/', [], true],
    ['/a/b', ['a', 'b'], false],
    ['/a/b/', ['a', 'b'], true],
    ['/@scope%2fname', ['@scope/name'], false],
    ['/@scope%2Fname/-/x.tgz', ['@scope/name', '-', 'x.tgz'], false],
    ['/a%252fb', ['a%2fb'], false],
    ['/a+b%2Bc%20d', ['a+b+c d'], false],
    ['/%E4%BD%A0', ['你'], false],
    ['/...', ['...'], false],
  ])('splits and decodes %s once', (raw, segments, trailingSlash) => {
    expect(parseRequestPath(raw)).toEqual({ segments, trailingSlash });
  });

  it.each([
    '/..',
    '/a/../b',
    '/%2e%2e/a',
    '/a%2f..%2fb',
    '/a%2f%2fb',
    '/./a',
    '//a',
    '/a//b',
    '/a%00',
    '/a%0Ab',
    '/a%7f',
    '/a\\b',
    '/a%5Cb',
    '/%',
    '/%g1',
    '/%ff',
  ])('refuses %s', (raw) => {
    expect(() => parseRequestPath(raw)).toThrow(expect.objectContaining({ kind: 'bad-request', code: 'UNSAFE_PATH' }));
  });

  it('collapses empty and "." segments where the protocol says so, never ".."', () => {
    expect(parseRequestPath('/debian/.//dists/./x', { dotSegments: 'collapse' }).segments).toEqual([
      'debian',
      'dists',
      'x',
    ]);
    expect(() => parseRequestPath('/a/../b', { dotSegments: 'collapse' })).toThrow();
  });
});

describe('parseRequestPath where a protocol takes bytes that are not UTF-8', () => {
  const segmentsOf = (raw: string) => parseRequestPath(raw, { otherBytes: 'escape' }).segments;

  it.each([
    ['/caf%E9.zip', ['caf\\xE9.zip']],
    ['/caf%e9', ['caf\\xE9']],
    ['/caf%25E9', ['caf%E9']],
    ['/caf%C3%A9', ['café']],
    ['/%F0%9F%92%A9%E9', ['💩\\xE9']],
    ['/%C3%A9%E9%C3', ['é\\xE9\\xC3']],
    ['/%E4%BD', ['\\xE4\\xBD']],
    ['/%C0%C9', ['\\xC0\\xC9']],
    // Half a surrogate pair, and more than Unicode has (RFC 3629 §3).
    ['/%ED%B3%A9', ['\\xED\\xB3\\xA9']],
    ['/%F4%90%80%80%FF', ['\\xF4\\x90\\x80\\x80\\xFF']],
    ['/a%2F%E9', ['a/\\xE9']],
  ])('reads %s', (raw, segments) => {
    expect(segmentsOf(raw)).toEqual(segments);
  });

  it.each([
    '/%C0%AE%C0%AE',
    '/%E0%80%AE',
    '/%F0%80%80%AE',
    '/%E9%5C',
    '/%E9\\xE8',
    '/%E9%',
    '/%E9%g1',
    '/%E9%00',
    '/%E9%2F..',
    '/%2e%2e/%E9',
    '/%E9%2F%2Fa',
  ])('still refuses %s', (raw) => {
    expect(() => segmentsOf(raw)).toThrow(expect.objectContaining({ kind: 'bad-request', code: 'UNSAFE_PATH' }));
  });
});

describe('parseRange', () => {
  it.each([
    ['bytes=0-0', { start: 0, end: 0 }],
    ['bytes=0-', { start: 0, end: 9 }],
    ['bytes=5-100', { start: 5, end: 9 }],
    ['bytes=-3', { start: 7, end: 9 }],
    ['bytes=-100', { start: 0, end: 9 }],
    ['Bytes=1-2', { start: 1, end: 2 }],
    ['bytes=10-', 'unsatisfiable'],
    ['bytes=-0', 'unsatisfiable'],
    ['bytes=5-2', undefined],
    ['bytes=-', undefined],
    ['bytes=0-1,3-4', undefined],
    ['bytes=a-b', undefined],
    ['items=0-1', undefined],
  ])('%s of ten bytes', (header, expected) => {
    expect(parseRange(header, 10)).toEqual(expected);
  });
});

describe('conditions', () => {
  it.each([
    ['"a"', true],
    ['W/"a"', true],
    ['"b", "a"', true],
    ['*', true],
    ['"b"', false],
    ['a', false],
  ])('If-None-Match %s against "a"', (header, expected) => {
    expect(noneMatch(header, '"a"')).toBe(expected);
  });

  it.each([
    ['"a"', true],
    ['"b"', false],
    ['W/"a"', false],
    ['Thu, 01 Jan 2026 00:00:00 GMT', true],
    ['Thu, 01 Jan 2026 00:00:01 GMT', false],
  ])('If-Range %s', (header, expected) => {
    expect(ifRangeMatches(header, '"a"', 'Thu, 01 Jan 2026 00:00:00 GMT')).toBe(expected);
  });
});

describe('standing', () => {
  const entry = { checkedAt: 10_000 } as Entry;
  const rule = {
    ...DEFAULT_FRESHNESS.document,
    freshFor: 1000,
    staleWhileRevalidate: 500,
    staleIfError: 2000,
    expireAfter: 100_000,
  };

  it.each([
    [10_000, true, true, true, 1],
    [10_999, true, true, true, 0],
    [11_000, false, true, true, -0],
    [11_500, false, false, true, -1],
    [13_000, false, false, false, -2],
    // The clock was ahead when the copy was confirmed: its age is not known.
    [5_000, false, true, true, -0],
  ])('at %i', (now, fresh, whileRevalidating, ifError, ttl) => {
    expect(standing(entry, rule, now)).toMatchObject({ fresh, whileRevalidating, ifError, ttl });
  });

  it('has a ceiling for every policy', () => {
    const immutable = { ...DEFAULT_FRESHNESS.artifact, expireAfter: 1000 };
    expect(standing(entry, immutable, 10_999).fresh).toBe(true);
    expect(standing(entry, immutable, 11_000).fresh).toBe(false);
    expect(standing(entry, { ...immutable, expireAfter: Infinity }, 1e15)).toMatchObject({
      fresh: true,
      ttl: undefined,
    });
  });

  it.each([
    ['no-store', true],
    ['max-age=1, private', true],
    ['private="set-cookie"', true],
    ['public, max-age=300', false],
    ['x-no-store-ish', false],
    [undefined, false],
  ])('Cache-Control %s', (header, expected) => {
    expect(forbidsStoring(header)).toBe(expected);
  });
});

describe('headers', () => {
  it('prints Cache-Status without anything that could leave its quotes', () => {
    expect(cacheStatus({ name: 'stale', ttl: -3, detail: 'a "b"\r\n\\' })).toBe(
      'Entrepot; hit; ttl=-3; detail="a ?b????"',
    );
  });

  it.each([
    ['7', 7],
    ['99999', 3600],
    ['Thu, 01 Jan 2026 00:00:10 GMT', 10],
    ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
    ['soon', undefined],
    [undefined, undefined],
  ])('reads Retry-After %s', (header, seconds) => {
    expect(parseRetryAfter(header, Date.UTC(2026, 0, 1))).toBe(seconds);
  });
});
