import { Readable } from 'node:stream';
import { expect, it } from 'vitest';
import { anonymousAccess, EntrepotError, type Access } from '../../src/index.js';
import type { CallerLimits, EngineReply, EngineRequest } from '../../src/engine/index.js';
import { openHarness, readAll, type Harness } from './harness.js';

function request(path: string, headers: Record<string, string> = {}): EngineRequest {
  return {
    method: 'GET',
    rawPath: path,
    rawQuery: '',
    header: (name) => headers[name],
    body: Readable.from([]),
    baseUrl: 'https://packages.example.com/test',
    client: '192.0.2.1',
    signal: new AbortController().signal,
  };
}

/** Limits that let so many requests pass, and the callers that were counted. */
function limits(most: number): CallerLimits & { readonly counted: string[] } {
  const counted: string[] = [];
  return {
    counted,
    take(client, name) {
      if (counted.length >= most) return { retryAfter: 7, message: `enough of ${name ?? client}` };
      counted.push(name ?? String(client));
      return undefined;
    },
  };
}

/** Has a request answered as a listener does. */
async function ask({ repository }: Harness, path: string, headers?: Record<string, string>): Promise<EngineReply> {
  const asked = request(path, headers);
  const reply = repository.ready?.(asked) ?? (await repository.handle(asked));
  await readAll(reply.body);
  return reply;
}

it('counts each request once, also where a ready reply was looked for', async () => {
  const callerLimits = limits(4);
  const harness = await openHarness({ definition: { callerLimits } });
  harness.upstream.serve('/files/a', { body: 'bytes' });

  const outcomes: string[] = [];
  for (let again = 0; again < 4; again += 1) outcomes.push((await ask(harness, '/files/a')).outcome.name);
  const refused = await ask(harness, '/files/a');

  expect(outcomes).toEqual(['miss', 'hit', 'hit', 'hit']);
  expect(callerLimits.counted).toHaveLength(4);
  expect(refused).toMatchObject({ status: 429, outcome: { name: 'failed', code: 'RATE_LIMITED' } });
  expect(refused.headers).toMatchObject({ 'Retry-After': '7', 'Cache-Control': 'no-store' });
  expect(String(refused.body)).toBe('enough of 192.0.2.1\n');
});

it('counts callers by name once they are known, and refusals of any kind by address', async () => {
  const callerLimits = limits(4);
  const access: Access = {
    ...anonymousAccess([]),
    knowsCallers: true,
    async authenticate(authorization) {
      if (authorization === 'wrong') throw new EntrepotError('unauthorized', 'wrong');
      return { name: authorization, may: () => authorization === 'alice' };
    },
  };
  const harness = await openHarness({ definition: { callerLimits, access } });
  harness.upstream.serve('/files/a', { body: 'bytes' });

  const statuses: number[] = [];
  for (const authorization of ['alice', 'bob', 'wrong', undefined, 'wrong', 'alice']) {
    const headers = authorization === undefined ? {} : { authorization };
    statuses.push((await ask(harness, '/files/a', headers)).status);
  }

  expect(statuses).toEqual([200, 403, 401, 401, 429, 429]);
  expect(callerLimits.counted).toEqual(['alice', 'bob', '192.0.2.1', '192.0.2.1']);
});

it('counts what has no route', async () => {
  const callerLimits = limits(1);
  const harness = await openHarness({ definition: { callerLimits } });
  expect([(await ask(harness, '/nowhere')).status, (await ask(harness, '/nowhere')).status]).toEqual([404, 429]);
});

it('asks no upstream, and records no decision, for who is refused', async () => {
  const harness = await openHarness({
    definition: { callerLimits: limits(0) },
    observer: {
      upstreamAnswered: () => expect.unreachable(),
      integrityFailed: () => expect.unreachable(),
      decided: () => expect.unreachable(),
    },
  });
  expect((await ask(harness, '/files/a')).status).toBe(429);
  expect(harness.upstream.requests).toEqual([]);
});
