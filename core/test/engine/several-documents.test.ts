import { describe, expect, it } from 'vitest';
import {
  allowAll,
  artifactClass,
  documentClass,
  type ArtifactDescription,
  type Entry,
  type PolicyEngine,
  type Resource,
} from '../../src/index.js';
import { openHarness, parsedOf, sri, withClasses, type Harness, type HarnessOptions } from './harness.js';

function list(key: string): Resource {
  return { class: 'pool', key, path: key };
}

/** Artifacts of a pool that two lists may describe: lines `path sri`. */
const side = withClasses({
  described: artifactClass({ about: 'a file', trust: { describedBy: () => [list('stable'), list('testing')] } }),
  pool: documentClass({
    about: 'a list',
    async parse(content) {
      const lines = Buffer.from(await content.bytes(1e6))
        .toString()
        .split('\n');
      return parsedOf(
        new Map(
          lines.filter(Boolean).map((line): [string, ArtifactDescription] => {
            const [path = '', digest = '', yanked] = line.split(' ');
            return [path, { integrity: parse(digest), yanked: yanked === 'yanked' }];
          }),
        ),
      );
    },
  }),
});

function parse(digest: string): ArtifactDescription['integrity'] {
  return [{ algorithm: 'sha512', hex: Buffer.from(digest.replace('sha512-', ''), 'base64').toString('hex') }];
}

interface Lists {
  readonly stable?: string | undefined;
  readonly testing?: string | undefined;
}

async function open({ stable, testing }: Lists, options: HarnessOptions = {}): Promise<Harness> {
  const harness = await openHarness({ side, ...options });
  if (stable !== undefined) harness.upstream.serve('/stable', { body: stable });
  if (testing !== undefined) harness.upstream.serve('/testing', { body: testing });
  harness.upstream.serve('/described/a', { body: 'a' });
  return harness;
}

const right = `described/a ${sri('a')}\n`;
const wrong = `described/a ${sri('b')}\n`;
const other = `described/c ${sri('c')}\n`;

it.each([
  ['the first', { stable: right, testing: wrong }, 200],
  ['the first, also where it is wrong', { stable: wrong, testing: right }, 502],
  ['the second, where the first does not list it', { stable: other, testing: right }, 200],
  ['the second, where the upstream has no first', { testing: right }, 200],
  ['none', { stable: other, testing: other }, 404],
  ['none, where one is missing', { testing: other }, 404],
  ['none, where both are missing', {}, 404],
] as const)('an artifact is what %s of its documents says', async (_title, lists, status) => {
  const { get } = await open(lists);
  expect((await get('/described/a')).status).toBe(status);
});

it('waits for a document that is out of reach, since it could list the artifact', async () => {
  const { get, upstream } = await open({ testing: right });
  upstream.serve('/stable', { status: 503 });
  expect((await get('/described/a')).status).toBe(502);
});

it('needs no upstream for what a kept document lists', async () => {
  const { get, upstream, landed } = await open({ stable: other, testing: right });
  await get('/described/a');
  await landed();
  upstream.serve('/described/c', { body: 'c' });
  expect(await (await get('/described/c')).text()).toBe('c');
  expect(upstream.requests.map(({ path }) => path)).toEqual(['/stable', '/testing', '/described/a', '/described/c']);
});

it('keeps the facts of the document that lists it', async () => {
  const policy = { ...allowAll, needs: () => new Set(['yanked', 'upstream'] as const) };
  const { get, upstream, landed, clock, entries } = await open({ stable: other, testing: right }, { policy });
  await get('/described/a');
  await landed();
  upstream.serve('/testing', { body: right.replace('\n', ' yanked\n') });
  clock.advance(2 * 86_400_000);
  const facts = async (): Promise<Entry['facts']> => {
    // Replies are shared within a second.
    clock.advance(1000);
    await get('/described/a');
    await landed();
    return (await entries.find('test', 'described/a'))?.facts;
  };
  expect((await facts())?.upstream).toBeUndefined();
  expect(await facts()).toMatchObject({ yanked: true });
  upstream.serve('/testing', { body: other });
  clock.advance(2 * 86_400_000);
  await facts();
  expect(await facts()).toMatchObject({ upstream: 'removed' });
});

describe('a document that is read for facts alone', () => {
  const open = async (policy: PolicyEngine): Promise<Harness> => {
    const dated = withClasses({
      described: artifactClass({
        about: 'a file',
        trust: { describedBy: () => [list('sums'), { ...list('dates'), class: 'dates' }], descriptionOptional: true },
      }),
      pool: documentClass({ about: 'sums', parse: async () => parsedOf(new Map()) }),
      dates: documentClass({
        about: 'dates',
        trust: { readFor: ['publishedAt'] },
        parse: async () => parsedOf(new Map([['described/a', { integrity: [], publishedAt: 1 }]])),
      }),
    });
    const harness = await openHarness({ side: dated, policy });
    for (const path of ['/sums', '/dates', '/described/a']) harness.upstream.serve(path, { body: 'a' });
    return harness;
  };
  const asked = ({ upstream }: Harness): string[] => upstream.requests.map(({ path }) => path).sort();

  it('is not asked for while policy looks at none of them', async () => {
    const harness = await open({ ...allowAll, needs: () => new Set() });
    expect((await harness.get('/described/a')).status).toBe(200);
    expect(asked(harness)).toEqual(['/described/a', '/sums']);
  });

  it('is asked for where policy looks at one', async () => {
    const harness = await open({ ...allowAll, needs: () => new Set(['publishedAt'] as const) });
    expect((await harness.get('/described/a')).status).toBe(200);
    expect(asked(harness)).toEqual(['/dates', '/described/a', '/sums']);
  });
});
