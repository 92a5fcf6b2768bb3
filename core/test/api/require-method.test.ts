import { expect, it } from 'vitest';
import { requireMethod } from '../../src/api/require-method.js';

it.each(['GET', 'HEAD'])('routes %s as GET', (method) => {
  expect(requireMethod({ method }, ['GET', 'PUT'])).toBe('GET');
});

it('returns an allowed method', () => {
  expect(requireMethod({ method: 'PUT' }, ['GET', 'PUT'])).toBe('PUT');
});

it('refuses other methods and names the allowed ones', () => {
  expect(() => requireMethod({ method: 'DELETE' }, ['GET', 'PUT'])).toThrow(
    expect.objectContaining({
      kind: 'method-not-allowed',
      message: 'DELETE is not possible here; expected GET, HEAD, PUT',
      headers: { Allow: 'GET, HEAD, PUT' },
    }) as Error,
  );
});

it('allows HEAD with GET only', () => {
  expect(() => requireMethod({ method: 'HEAD' }, ['POST'])).toThrow(
    expect.objectContaining({ status: 405, headers: { Allow: 'POST' } }) as Error,
  );
});

it('takes a message for the client, and quotes the start of a long method only', () => {
  expect(() => requireMethod({ method: 'PUT' }, ['GET'], 'read-only')).toThrow('read-only');
  expect(() => requireMethod({ method: 'X'.repeat(99) }, ['GET'])).toThrow(/^X{32} is not possible/);
});
