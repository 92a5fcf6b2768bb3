import { setImmediate } from 'node:timers/promises';
import { Readable } from 'node:stream';
import { expect, it } from 'vitest';
import { DEFAULT_LIMITS, type EngineReply, type RepositoryLimits } from '../../src/engine/index.js';
import { openHarness, readAll, sri, type Harness, type HarnessOptions } from './harness.js';

interface Asked {
  readonly status: number;
  readonly code: string | undefined;
  readonly retryAfter: string | undefined;
  readonly text: string;
}

function open(limits: Partial<RepositoryLimits>, options: HarnessOptions = {}): Promise<Harness> {
  return openHarness({ ...options, definition: { limits: { ...DEFAULT_LIMITS, ...limits } } });
}

/** Asks as a client at an address. */
async function ask({ repository }: Harness, client: string, path: string, signal?: AbortSignal): Promise<Asked> {
  const reply: EngineReply = await repository.handle({
    method: 'GET',
    rawPath: path,
    rawQuery: '',
    header: () => undefined,
    body: Readable.from([]),
    baseUrl: 'https://packages.example.com/test',
    client,
    signal: signal ?? new AbortController().signal,
  });
  const { status, headers, outcome } = reply;
  return { status, code: outcome.code, retryAfter: headers['Retry-After'], text: String(await readAll(reply.body)) };
}

/** Serves so many files whose replies wait, and opens their gates. */
function heldFiles({ upstream }: Harness, names: readonly string[]) {
  const gates = new Map(
    names.map((name) => {
      upstream.serve(`/files/${name}`, { body: name });
      return [name, upstream.hold(`/files/${name}`)] as const;
    }),
  );
  return {
    /** Waits until the upstream was asked for so many. */
    async asked(count: number): Promise<readonly string[]> {
      while (upstream.requests.length < count) await setImmediate();
      // Whoever should not ask would have asked by now.
      for (let turn = 0; turn < 20; turn += 1) await setImmediate();
      return upstream.requests.map(({ path }) => path.slice('/files/'.length));
    },
    open: (name: string) => gates.get(name)?.open(),
    openAll() {
      for (const gate of gates.values()) gate.open();
    },
  };
}

it('lets a client that asks for much at once wait behind its own', async () => {
  const harness = await open({ fetches: 3, fetchesPerClient: 2 });
  const many = ['a1', 'a2', 'a3', 'a4', 'a5'];
  const files = heldFiles(harness, [...many, 'b1', 'b2', 'c1']);
  const answers = many.map((name) => ask(harness, '192.0.2.1', `/files/${name}`));
  expect(await files.asked(2)).toEqual(['a1', 'a2']);
  answers.push(ask(harness, '192.0.2.2', '/files/b1'));
  expect(await files.asked(3)).toEqual(['a1', 'a2', 'b1']);
  for (const [client, name] of [
    ['192.0.2.2', 'b2'],
    ['192.0.2.3', 'c1'],
  ] as const)
    answers.push(ask(harness, client, `/files/${name}`));
  files.open('a1');
  files.open('b1');
  expect((await files.asked(5)).slice(3).sort()).toEqual(['a3', 'b2']);
  files.openAll();
  const found = await Promise.all(answers);
  expect(found.map(({ status }) => status)).toEqual(found.map(() => 200));
  expect(found.map(({ text }) => text)).toEqual([...many, 'b1', 'b2', 'c1']);
});

it('does not wait for what it needs itself', async () => {
  const harness = await open({ fetches: 1, fetchesPerClient: 1 });
  harness.upstream.serve('/index.json', { body: `described/a ${sri('bytes')}` });
  harness.upstream.serve('/described/a', { body: 'bytes' });
  expect(await ask(harness, '192.0.2.1', '/described/a')).toMatchObject({ status: 200, text: 'bytes' });
});

it('joins the flight that somebody else has started meanwhile, and holds no turn for it', async () => {
  const harness = await open({ fetches: 2, fetchesPerClient: 1 });
  const files = heldFiles(harness, ['first', 'shared', 'other']);
  const first = ask(harness, '192.0.2.1', '/files/first');
  await files.asked(1);
  const waiting = ask(harness, '192.0.2.1', '/files/shared');
  const starting = ask(harness, '192.0.2.2', '/files/shared');
  expect(await files.asked(2)).toEqual(['first', 'shared']);
  files.open('shared');
  expect([(await starting).text, (await waiting).text]).toEqual(['shared', 'shared']);
  const other = ask(harness, '192.0.2.3', '/files/other');
  expect(await files.asked(3)).toEqual(['first', 'shared', 'other']);
  files.openAll();
  expect([(await first).text, (await other).text]).toEqual(['first', 'other']);
});

it('refuses who waited for too long, with a time to come again', async () => {
  const harness = await open({ fetches: 1, fetchesPerClient: 1, fetchQueueTimeout: 1 });
  const files = heldFiles(harness, ['slow', 'late']);
  const slow = ask(harness, '192.0.2.1', '/files/slow');
  await files.asked(1);
  expect(await ask(harness, '192.0.2.2', '/files/late')).toMatchObject({
    status: 503,
    code: 'FETCH_QUEUE_TIMEOUT',
    retryAfter: '5',
    text: 'Other fetches of this repository did not leave a turn for this one within 1 ms\n',
  });
  files.openAll();
  expect((await slow).text).toBe('slow');
  expect((await ask(harness, '192.0.2.2', '/files/late')).text).toBe('late');
});

it('gives who waited for too long the kept copy, where there is one', async () => {
  const harness = await open(
    { fetches: 1, fetchesPerClient: 1, fetchQueueTimeout: 1 },
    { document: { policy: 'revalidate', freshFor: 1000, staleIfError: 60_000 } },
  );
  harness.upstream.serve('/raw/page', { body: 'kept' });
  expect((await ask(harness, '192.0.2.1', '/raw/page')).text).toBe('kept');
  await harness.landed();
  harness.clock.advance(2000);
  const files = heldFiles(harness, ['slow']);
  const slow = ask(harness, '192.0.2.1', '/files/slow');
  await files.asked(2);
  expect(await ask(harness, '192.0.2.2', '/raw/page')).toMatchObject({ status: 200, text: 'kept' });
  files.openAll();
  expect((await slow).status).toBe(200);
});

it('asks nothing for a client that has gone', async () => {
  const harness = await open({ fetches: 1, fetchesPerClient: 1 });
  const files = heldFiles(harness, ['slow', 'unwanted', 'next']);
  const slow = ask(harness, '192.0.2.1', '/files/slow');
  await files.asked(1);
  const gone = new AbortController();
  const unwanted = ask(harness, '192.0.2.2', '/files/unwanted', gone.signal);
  const next = ask(harness, '192.0.2.2', '/files/next');
  await setImmediate();
  gone.abort();
  expect(await unwanted).toMatchObject({ code: 'CLIENT_GONE' });
  files.openAll();
  expect([(await slow).text, (await next).text]).toEqual(['slow', 'next']);
  expect(harness.upstream.requests.map(({ path }) => path)).toEqual(['/files/slow', '/files/next']);
});

it('gives searches turns as well', async () => {
  const harness = await open({ fetches: 1, fetchesPerClient: 1 });
  const files = heldFiles(harness, ['slow']);
  harness.upstream.serve('/search', { body: 'found' });
  const slow = ask(harness, '192.0.2.1', '/files/slow');
  await files.asked(1);
  const search = ask(harness, '192.0.2.2', '/search');
  expect(await files.asked(1)).toEqual(['slow']);
  files.openAll();
  expect([(await slow).text, (await search).text]).toEqual(['slow', 'found']);
});
