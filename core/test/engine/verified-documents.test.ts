import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { documentClass, EntrepotError, type Resource } from '../../src/index.js';
import { openHarness, parsedOf, withClasses } from './harness.js';

const RELEASE: Resource = { class: 'release', key: 'Release', path: 'Release' };
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** `/Packages` has to have the sum that `/Release` states. */
const side = withClasses(
  {
    release: documentClass({ about: 'the sums of all lists', cache: { freshFor: 1000 } }),
    packages: documentClass({
      about: 'a list',
      cache: { freshFor: 1000 },
      trust: {
        async verify(_resource, content, { read }) {
          const stated = Buffer.from(await (await read(RELEASE)).bytes(1000)).toString();
          const found = sha256(Buffer.from(await content.bytes(1000)).toString());
          if (stated !== found)
            throw new EntrepotError('upstream-unavailable', `Release states ${stated}, Packages is ${found}`);
        },
      },
      parse: async () => parsedOf(new Map()),
    }),
  },
  {
    route: ({ segments: [name] }) =>
      name === 'Release' ? RELEASE : { class: 'packages', key: 'Packages', path: 'Packages' },
  },
);

it('a document that another one verifies is served as it was while the two do not agree', async () => {
  const { get, upstream, clock, entries } = await openHarness({ side });
  upstream.serve('/Release', { body: sha256('one') });
  upstream.serve('/Packages', { body: 'other' });
  expect((await get('/Packages')).status).toBe(502);
  expect(await entries.find('test', 'Packages')).toBeUndefined();
  upstream.serve('/Packages', { body: 'one' });
  expect(await (await get('/Packages')).text()).toBe('one');
  // The list is replaced first, its sum a moment later.
  upstream.serve('/Packages', { body: 'two' });
  clock.advance(2000);
  const stale = await get('/Packages');
  expect([stale.outcome.name, await stale.text()]).toEqual(['stale', 'one']);
  upstream.serve('/Release', { body: sha256('two') });
  clock.advance(2000);
  expect(await (await get('/Packages')).text()).toBe('two');
});
