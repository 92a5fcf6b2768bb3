import { expect, it } from 'vitest';
import type { EngineProtocol } from '../../src/engine/request/protocol.js';
import { openHarness, sri, testProtocol } from './harness.js';

/** The test protocol, with what its hooks are told of the upstream's reply. */
function listening(): { protocol: EngineProtocol; heard: (readonly [string, unknown])[] } {
  const heard: (readonly [string, unknown])[] = [];
  return {
    heard,
    protocol: {
      ...testProtocol,
      route(head) {
        const resource = testProtocol.route(head);
        if (resource?.kind !== 'artifact') return resource;
        const { describedBy } = resource;
        const keepHeaders = ['x-checksum-sha1'];
        return { ...resource, keepHeaders, describedBy: describedBy && { ...describedBy, keepHeaders } };
      },
      async describe(document, content, context) {
        heard.push([document.key, context.headers]);
        return (await testProtocol.describe?.(document, content, context)) ?? new Map();
      },
      async verify(artifact, _content, { headers }) {
        heard.push([artifact.key, headers]);
      },
    },
  };
}

const DATE = 'Thu, 01 Jan 2026 00:00:00 GMT';
const headers = { 'X-Checksum-Sha1': 'abc', 'Last-Modified': DATE, ETag: '"1"', 'Set-Cookie': 'secret' };
const told = { 'x-checksum-sha1': 'abc', 'last-modified': DATE, etag: '"1"' };

it('hands the kept headers of the reply to the hooks that read and verify a body, and no others', async () => {
  const { protocol, heard } = listening();
  const { get, upstream, landed } = await openHarness({ protocol });
  upstream.serve('/index.json', { body: `described/a ${sri('a')}\n`, headers });
  upstream.serve('/described/a', { body: 'a', headers: { ...headers, 'Content-Disposition': 'inline' } });
  expect(await (await get('/described/a')).text()).toBe('a');
  await landed();
  expect(heard).toEqual([
    ['index.json', told],
    ['described/a', { ...told, 'content-disposition': 'inline' }],
  ]);
});

it('hands the headers that were kept with a document to the hook that reads it again', async () => {
  const first = await openHarness({ protocol: listening().protocol });
  first.upstream.serve('/index.json', { body: `described/a ${sri('a')}\ndescribed/b ${sri('b')}\n`, headers });
  first.upstream.serve('/described/a', { body: 'a', headers });
  expect(await (await first.get('/described/a')).text()).toBe('a');
  await first.landed();
  // Another replica has not read the document.
  const { protocol, heard } = listening();
  const second = await openHarness({ protocol, shared: first });
  second.upstream.serve('/described/b', { body: 'b' });
  expect(await (await second.get('/described/b')).text()).toBe('b');
  expect(heard).toEqual([
    ['index.json', told],
    ['described/b', {}],
  ]);
});
