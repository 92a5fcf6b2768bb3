import { describe, expect, it } from 'vitest';
import type { EngineRequest } from '../../src/engine/request/request.js';
import { localReply } from '../../src/engine/reply/local-reply.js';
import { respond, type Representation } from '../../src/engine/reply/respond.js';

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
    // Invalid media types that browsers take for a page.
    '',
    'text/html x',
    'text/html(x)',
    'text/html (x)',
    'text/html\tx',
    'text/html/x',
    'text/html,text/plain',
    ',text/html',
    ';text/html',
    '"text/html"',
    'text/html\u00a0',
    'text/html\u000b',
    'image/svg+xml x',
    'image/svg+xml(x)',
    'text/xml x',
    'text/xsl',
    'text/rdf',
    'text/xml-external-parsed-entity',
    'application/xhtml+xml',
    'application/mathml+xml x',
    'multipart/x-mixed-replace; boundary=b',
    'multipart/related; boundary=b; type=text/html',
    'message/rfc822',
    'unknown/unknown',
    '*/*',
    'application/unknown',
    'text/plain; a="b\\"',
    'text/plain; a="b, text/html"',
    `text/plain; a=${'b'.repeat(2000)}`,
  ])('%s is put in a sandbox', async (mediaType) => {
    expect((await respond(REQUEST, shown(mediaType))).headers['Content-Security-Policy']).toBe('sandbox');
  });

  it.each([
    'application/json',
    'application/octet-stream',
    'text/plain; charset=utf-8',
    'Text/Plain;charset="utf-8"',
    'application/vnd.oci.image.layer.v1.tar+gzip',
    'application/vnd.npm.install-v1+json',
    'application/vnd.pypi.simple.v1+json',
  ])('%s is not', async (mediaType) => {
    expect((await respond(REQUEST, shown(mediaType))).headers).not.toHaveProperty('Content-Security-Policy');
  });
});

describe('replies that no upstream has made', () => {
  it.each<[string, string | undefined]>([
    ['text/html; charset=utf-8', 'sandbox'],
    ['application/json', undefined],
  ])('are guarded as others are: %s', (mediaType, policy) => {
    const { headers } = localReply('test', REQUEST, {
      status: 200,
      headers: { 'content-type': mediaType },
      body: 'x',
    });
    expect(headers).toMatchObject({ 'X-Content-Type-Options': 'nosniff' });
    expect(headers['Content-Security-Policy']).toBe(policy);
  });
});
