import { describe, expect, it } from 'vitest';
import { parseEndpoint } from '../src/reference.js';
import { digestOf } from './images.js';

const DIGEST = digestOf('x');

describe('parseEndpoint', () => {
  it.each([
    ['', { kind: 'root' }],
    ['_catalog', { kind: 'catalog' }],
    ['a/manifests/latest', { kind: 'manifest', name: 'a', reference: 'latest' }],
    ['a/manifests/b/manifests/c', { kind: 'manifest', name: 'a/manifests/b', reference: 'c' }],
    ['blobs/uploads/manifests/v1', { kind: 'manifest', name: 'blobs/uploads', reference: 'v1' }],
    ['tags/list/tags/list', { kind: 'tags', name: 'tags/list' }],
    ['library/library/tags/list', { kind: 'tags', name: 'library/library' }],
    ['referrers/blobs/x', { kind: 'blob', name: 'referrers', digest: 'x' }],
    ['a/blobs/uploads', { kind: 'uploads', name: 'a' }],
    ['a/blobs/uploads/123', { kind: 'session', name: 'a', id: '123' }],
    ['a/blobs/uploads/blobs/uploads', { kind: 'uploads', name: 'a/blobs/uploads' }],
    [`a/blobs/uploads/blobs/${DIGEST}`, { kind: 'blob', name: 'a/blobs/uploads', digest: DIGEST }],
    [`a/b/referrers/${DIGEST}`, { kind: 'referrers', name: 'a/b', digest: DIGEST }],
    ['a/unknown/x', undefined],
    ['a', undefined],
  ])('reads %j', (path, expected) => {
    expect(parseEndpoint(path === '' ? [] : path.split('/'))).toEqual(expected);
  });

  it('reads a name whose separators were escaped', () => {
    expect(parseEndpoint(['library/nginx', 'manifests', 'latest'])).toMatchObject({ name: 'library/nginx' });
  });

  it.each(['A', 'a_', '-a', 'a//b', 'a...b', 'ü', 'a b', '', 'a/', `${'a'.repeat(256)}`, 'a__-b'])(
    'refuses the name %j',
    (name) => {
      expect(() => parseEndpoint([...name.split('/'), 'tags', 'list'])).toThrow(
        expect.objectContaining({ code: 'NAME_INVALID' }),
      );
    },
  );

  it.each(['a', 'a.b', 'a_b', 'a__b', 'a---b', '0', 'a/b/c', 'a'.repeat(255)])('takes the name %j', (name) => {
    expect(parseEndpoint([...name.split('/'), 'tags', 'list'])).toEqual({ kind: 'tags', name });
  });
});
