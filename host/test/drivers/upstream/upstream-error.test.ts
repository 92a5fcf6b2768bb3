import { EntrepotError } from '@entrepot/core';
import { expect, it } from 'vitest';
import { upstreamError } from '../../../src/drivers/upstream/upstream-error.js';

const URL_WITH_SECRETS = new URL('https://user:hush@packages.example.com/a/b?token=hush#hush');

function classify(error: unknown, signal = new AbortController().signal): EntrepotError {
  return upstreamError(error, { method: 'GET', url: URL_WITH_SECRETS, signal });
}

const withCode = (code: string) => Object.assign(new Error('hush'), { code });

it.each([
  ['UND_ERR_CONNECT_TIMEOUT', 'UPSTREAM_TIMEOUT', 504],
  ['UND_ERR_HEADERS_TIMEOUT', 'UPSTREAM_TIMEOUT', 504],
  ['UND_ERR_BODY_TIMEOUT', 'UPSTREAM_TIMEOUT', 504],
  ['ETIMEDOUT', 'UPSTREAM_TIMEOUT', 504],
  ['ECONNREFUSED', 'UPSTREAM_REFUSED', 502],
  ['ECONNRESET', 'UPSTREAM_RESET', 502],
  ['UND_ERR_SOCKET', 'UPSTREAM_RESET', 502],
  ['EHOSTUNREACH', 'UPSTREAM_UNREACHABLE', 502],
  ['ENOTFOUND', 'UPSTREAM_DNS', 502],
  ['EAI_AGAIN', 'UPSTREAM_DNS', 502],
  ['CERT_HAS_EXPIRED', 'UPSTREAM_TLS', 502],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'UPSTREAM_TLS', 502],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'UPSTREAM_TLS', 502],
  ['EPROTO', 'UPSTREAM_TLS', 502],
  ['HPE_INVALID_CONSTANT', 'UPSTREAM_PROTOCOL', 502],
  ['UND_ERR_HEADERS_OVERFLOW', 'UPSTREAM_PROTOCOL', 502],
  ['UND_ERR_DESTROYED', 'UPSTREAM_ABORTED', 502],
  ['EWHATEVER', 'UPSTREAM_UNAVAILABLE', 502],
])('calls %s %s', (code, expected, status) => {
  const error = classify(withCode(code));
  expect(error).toMatchObject({ kind: 'upstream-unavailable', code: expected, status });
  expect(error.message).toMatch(/^GET https:\/\/packages\.example\.com\/a\/b: /);
  expect(error.message).not.toContain('hush');
});

it('looks behind an error of several addresses, and behind a cause', () => {
  const several = new AggregateError([withCode('ECONNREFUSED'), withCode('EHOSTUNREACH')]);
  expect(classify(several).code).toBe('UPSTREAM_REFUSED');
  expect(classify(new Error('outer', { cause: withCode('ENOTFOUND') })).code).toBe('UPSTREAM_DNS');
});

it('leaves our own errors as they are', () => {
  const refused = new EntrepotError('forbidden', 'no', { code: 'ADDRESS_REFUSED' });
  expect(classify(refused)).toBe(refused);
});

it('gives the reason of an abort where it is ours, else its own', () => {
  const late = new EntrepotError('upstream-unavailable', 'too late', { status: 504 });
  expect(classify(withCode('ECONNRESET'), AbortSignal.abort(late))).toBe(late);
  expect(classify(withCode('ECONNRESET'), AbortSignal.abort()).code).toBe('UPSTREAM_ABORTED');
});
