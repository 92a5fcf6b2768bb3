import { describe, expect, it } from 'vitest';
import type { EngineRequest } from '../../src/engine/repository.js';
import { respond, type Representation } from '../../src/engine/respond.js';

const REQUEST = { method: 'GET', header: () => undefined } as unknown as EngineRequest;

function shown(mediaType: string): Representation {
  return {
    repository: 'test',
    resource: 'file',
    mediaType,
    size: 1,
    etag: undefined,
    lastModified: undefined,
    cacheControl: 'no-cache',
    headers: {},
    ranges: true,
    facts: { name: 'hit' },
    open: () => Buffer.from('x'),
  };
}

describe('what a browser would run on our origin', () => {
  it.each([
    'text/html',
    'Text/HTML; charset=utf-8',
    'image/svg+xml',
    'application/xml',
    'application/rdf+xml',
    'application/json, text/html',
    'application/json; a=b, text/html',
  ])('%s is put in a sandbox', async (mediaType) => {
    expect((await respond(REQUEST, shown(mediaType))).headers['Content-Security-Policy']).toBe('sandbox');
  });

  it.each(['application/json', 'application/octet-stream', 'text/plain; charset=utf-8'])(
    '%s is not',
    async (mediaType) => {
      expect((await respond(REQUEST, shown(mediaType))).headers).not.toHaveProperty('Content-Security-Policy');
    },
  );
});
