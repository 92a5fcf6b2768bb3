import { expect, it } from 'vitest';
import { openHarness, testSide, type TestSide } from './harness.js';

/** The test format, which counts how often it routes. */
function counting(): { readonly side: TestSide; routed(): number } {
  let count = 0;
  const side: TestSide = {
    ...testSide,
    route(head) {
      count += 1;
      if (head.segments[0] !== 'chosen') return testSide.route(head);
      const key = `raw/${head.header('accept') ?? 'any'}`;
      return { class: 'raw', key, path: key };
    },
  };
  return { side, routed: () => count };
}

it('asks the plugin once for a target of reads, whoever asks for it', async () => {
  const { side, routed } = counting();
  const { get, ask, upstream } = await openHarness({ side });
  upstream.serve('/files/a', { body: 'a' });
  for (let asked = 0; asked < 3; asked += 1) expect(await (await get('/files/a', { accept: 'x' })).text()).toBe('a');
  expect((await ask('HEAD', '/files/a')).status).toBe(200);
  expect(routed()).toBe(1);
  expect((await get('/files/a?x=1')).status).toBe(200);
  expect(routed()).toBe(2);
  expect((await ask('DELETE', '/files/a')).status).toBe(405);
  expect(routed()).toBe(3);
});

it('asks it for each request where it looks at headers', async () => {
  const { side } = counting();
  const { get, upstream } = await openHarness({ side });
  for (const type of ['one', 'other']) upstream.serve(`/raw/${type}`, { body: type });
  for (const type of ['one', 'other', 'one']) expect(await (await get('/chosen', { accept: type })).text()).toBe(type);
});

it('remembers no reply and no refusal', async () => {
  const { side, routed } = counting();
  const { get } = await openHarness({ side });
  for (const [path, status] of [
    ['/ping', 200],
    ['/nothing', 404],
  ] as const) {
    const before = routed();
    for (let asked = 0; asked < 2; asked += 1) expect((await get(path)).status).toBe(status);
    expect(routed()).toBe(before + 2);
  }
});
