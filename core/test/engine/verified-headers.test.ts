import { expect, it } from 'vitest';
import type { TrustFacts } from '../../src/index.js';
import { INDEX, openHarness, sri, testClasses, withFacts, type TestSide } from './harness.js';

/** The test protocol, with what its hooks are told of the upstream's reply. */
function listening(): { side: TestSide; heard: (readonly [string, unknown])[] } {
  const heard: (readonly [string, unknown])[] = [];
  const keepHeaders = { reply: { keepHeaders: ['x-checksum-sha1'] } };
  const index = withFacts(
    {
      ...keepHeaders,
      async parse(content, resource, context, self) {
        heard.push([resource.key, context.headers]);
        return (await testClasses.index.parse?.(content, resource, context, self)) ?? expect.fail();
      },
    },
    ['index'],
  );
  const verify: TrustFacts<unknown>['verify'] = async ({ key }, _content, { headers }) => {
    heard.push([key, headers]);
  };
  const described = { reply: { keepHeaders: ['x-checksum-sha1', 'content-disposition'] }, trust: { verify } };
  return { heard, side: withFacts(described, ['described'], index) };
}

const DATE = 'Thu, 01 Jan 2026 00:00:00 GMT';
const headers = { 'X-Checksum-Sha1': 'abc', 'Last-Modified': DATE, ETag: '"1"', 'Set-Cookie': 'secret' };
const told = { 'x-checksum-sha1': 'abc', 'last-modified': DATE, etag: '"1"' };

it('hands the kept headers of the reply to the hooks that read and verify a body, and no others', async () => {
  const { side, heard } = listening();
  const { get, upstream, landed } = await openHarness({ side });
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
  const first = await openHarness({ side: listening().side });
  first.upstream.serve('/index.json', { body: `described/a ${sri('a')}\ndescribed/b ${sri('b')}\n`, headers });
  first.upstream.serve('/described/a', { body: 'a', headers });
  expect(await (await first.get('/described/a')).text()).toBe('a');
  await first.landed();
  // Another replica has not read the document.
  const { side, heard } = listening();
  const second = await openHarness({ side, shared: first });
  second.upstream.serve('/described/b', { body: 'b' });
  expect(await (await second.get('/described/b')).text()).toBe('b');
  expect(heard).toEqual([
    ['index.json', told],
    ['described/b', {}],
  ]);
});

it('hands the kept headers of another resource to the hook that reads it, and data of its own to the hook that verifies', async () => {
  const heard: unknown[] = [];
  const index = withFacts(
    {
      reply: { keepHeaders: ['x-checksum-sha1'] },
      parse: async () => ({
        weight: 0,
        describe: () => ({ integrity: [], own: { control: 'Q1abc' } }),
      }),
    },
    ['index'],
  );
  const verify: TrustFacts<unknown>['verify'] = async (_resource, _content, { description, read }) => {
    const content = await read(INDEX);
    heard.push(description?.own, content.headers, Buffer.from(await content.bytes(100)).toString());
  };
  const side = withFacts({ trust: { verify } }, ['described'], index);
  const { get, upstream, landed } = await openHarness({ side });
  upstream.serve('/index.json', { body: 'the index', headers });
  upstream.serve('/described/a', { body: 'a' });
  for (const path of ['/described/a', '/described/b']) {
    upstream.serve(path, { body: 'a' });
    expect((await get(path)).status).toBe(200);
    await landed();
  }
  const told = { 'x-checksum-sha1': 'abc', 'last-modified': DATE, etag: '"1"' };
  expect(heard).toEqual([{ control: 'Q1abc' }, told, 'the index', { control: 'Q1abc' }, told, 'the index']);
});
