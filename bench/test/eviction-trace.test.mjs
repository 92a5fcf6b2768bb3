import { expect, test } from 'vitest';
import { accessesOf, keysOf, recordOf } from '../eviction/access-log.mjs';
import { BoundedCache, Sieve } from '../eviction/caches.mjs';
import { contents, replay } from '../eviction/replay.mjs';
import { syntheticTrace } from '../eviction/synthetic.mjs';
import { formatTrace, parseTrace, traceOf } from '../eviction/trace.mjs';

const TARBALL = { msg: 'request', path: '/npm/a/-/a-1.0.0.tgz', repository: 'npm', resource: 'tarball' };
const HIT = { ...TARBALL, status: 200, outcome: 'hit', bytes: 1234 };

test('a trace is read as it was written, without names and with two digits of each size', () => {
  const trace = traceOf([
    { object: 'sha256:aa', kind: 'tarball', size: 1234 },
    { object: 'sha256:bb', kind: 'packument', size: 99 },
    { object: 'sha256:aa', kind: 'tarball', size: 1234 },
  ]);
  expect(formatTrace(trace)).toBe('entrepot trace 1\ntarball 1200\npackument 99\n0\n');
  expect(parseTrace(formatTrace(trace))).toEqual(trace);
});

test.each([
  ['another file', 'hello\n', 'no trace: the first line "entrepot trace 1" was expected, found "hello"'],
  ['an object that was not named', 'entrepot trace 1\ntarball 5\n1\n', 'line 3 of the trace'],
  ['a size that is none', 'entrepot trace 1\ntarball x\n', 'line 2 of the trace'],
])('%s is no trace', (_what, text, message) => {
  expect(() => parseTrace(text)).toThrow(message);
});

test.each([
  ['a hit', HIT, true],
  ['an answer of 304', { ...HIT, status: 304, bytes: 0 }, true],
  ['a name that does not exist', { ...HIT, status: 404, outcome: 'miss' }, false],
  ['what is not kept', { ...HIT, outcome: 'bypass' }, false],
  ['a page of the server', { ...HIT, repository: undefined }, false],
  ['another message', { ...HIT, msg: 'started' }, false],
])('%s in the log: an access is %s', (_what, record, isOne) => {
  expect(recordOf(JSON.stringify(record)) !== undefined).toBe(isOne);
});

test('a line that is not JSON is passed over', () => {
  expect(recordOf('Entrepot listens')).toBeUndefined();
});

test('the entry tells the object and its size; without it the path and the most that was sent whole', () => {
  const records = [
    { ...HIT, bytes: 600, aborted: true },
    { ...HIT, status: 206, bytes: 5 },
    { ...HIT, bytes: 500 },
    { ...HIT, path: '/npm/never-whole', status: 304, bytes: 0 },
    { ...HIT, path: '/npm/kept', resource: 'packument', bytes: 10 },
  ];
  const entry = { digest: 'sha256:aa', size: 9000 };
  const accesses = accessesOf(records, ({ path }) => (path === '/npm/kept' ? entry : undefined));
  const tarball = { object: TARBALL.path, kind: 'tarball', size: 500 };
  expect(accesses).toEqual([tarball, tarball, tarball, { object: 'sha256:aa', kind: 'packument', size: 9000 }]);
});

test.each([
  ['/npm/@types%2fnode', 'packument', 'packument/@types/node'],
  ['/pypi/simple/requests/', 'simple', 'simple/requests'],
  ['/pypi/files/idna/ab/idna-3.whl', 'file', 'file/idna/ab/idna-3.whl'],
  ['/go/example.com/m/@v/v1.0.0.zip', 'zip', 'example.com/m/@v/v1.0.0.zip'],
])('the entry of %s may have the key %s/…', (path, resource, key) => {
  expect(keysOf({ path, resource })).toContain(key);
});

test('a replay gives hits of requests and of bytes', () => {
  const trace = parseTrace('entrepot trace 1\ntarball 10\nlayer 1000000\n0\n0\n1\n');
  expect(replay(trace, new BoundedCache(1000, new Sieve()))).toEqual({
    requests: 0.4,
    bytes: 20 / 2_000_030,
    small: 2 / 3,
    large: 0,
  });
  expect(contents(trace)).toEqual([
    { kind: 'layer', requests: 2, objects: 1, once: 0, bytes: 1_000_000, smallBytes: 0 },
    { kind: 'tarball', requests: 3, objects: 1, once: 0, bytes: 10, smallBytes: 10 },
  ]);
});

test('the trace from numbers is the same each time', () => {
  const options = { atLeast: 2000 };
  expect(syntheticTrace(options)).toEqual(syntheticTrace(options));
  expect(syntheticTrace({ ...options, seed: 2 })).not.toEqual(syntheticTrace(options));
});
