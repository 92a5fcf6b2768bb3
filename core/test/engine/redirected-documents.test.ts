import { describe, expect, it } from 'vitest';
import { openHarness, sri, type Harness } from './harness.js';

/** An upstream that leads to another host of its own network for its document; the files are beside that. */
async function openRedirecting(location: (other: string) => string): Promise<{ first: Harness; other: Harness }> {
  const other = await openHarness();
  const first = await openHarness();
  first.upstream.handle('/index.json', (_request, response) => {
    response.writeHead(303, { location: `${other.upstream.url}/mirror/index.json` }).end();
  });
  const body = `described/a ${sri('bytes')} ${location(other.upstream.url)}\n`;
  other.upstream.serve('/mirror/index.json', { body, mediaType: 'application/json' });
  other.upstream.serve('/mirror/files/a', { body: 'bytes' });
  return { first, other };
}

describe('the files of a document that an upstream leads to on another host', () => {
  it.each([() => 'files/a', (other: string) => `${other}/mirror/files/a`])(
    'are fetched in the network of that host, also after a restart (%#)',
    async (location) => {
      const { first, other } = await openRedirecting(location);
      const answer = await first.get('/described/a');
      expect([answer.status, await answer.text()]).toEqual([200, 'bytes']);
      await first.landed();
      await first.entries.remove('test', 'described/a');
      const restarted = await openHarness({
        shared: first,
        definition: { upstreams: [{ url: first.upstream.url }] },
      });
      const again = await restarted.get('/described/a');
      expect([again.status, await again.text()]).toEqual([200, 'bytes']);
      expect(first.upstream.count('/index.json')).toBe(2);
      expect(other.upstream.count('/mirror/files/a')).toBe(2);
    },
  );

  it('are refused in another network', async () => {
    const { first } = await openRedirecting(() => 'http://0.0.0.1:1/x');
    expect((await first.get('/described/a')).status).toBe(403);
  });
});
