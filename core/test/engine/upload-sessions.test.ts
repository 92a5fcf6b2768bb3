import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { openUploadSessions, type UploadSessions } from '../../src/engine/store/upload-sessions.js';
import { ManualClock } from '../../src/testing/manual-clock.js';

async function open(): Promise<UploadSessions> {
  const path = await mkdtemp(join(tmpdir(), 'entrepot-sessions-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return await openUploadSessions({ path, maxBytes: 1024 ** 2, maxAge: 86_400_000, clock: new ManualClock() });
}

it('is one session for all processes that share the folder', async () => {
  const path = await mkdtemp(join(tmpdir(), 'entrepot-sessions-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  const options = { path, maxBytes: 1024 ** 2, maxAge: 86_400_000, clock: new ManualClock() };
  const [one, other] = [await openUploadSessions(options), await openUploadSessions(options)];
  const { id } = await one.begin('a', 's');
  const name = { repository: 'a', scope: 's', id };
  for (const sessions of [other, one, other, one]) await add(sessions, id);
  expect([await one.state(name), await other.state(name)]).toEqual([
    { id, size: 4 },
    { id, size: 4 },
  ]);
  async function* nothing(): AsyncGenerator<Buffer> {}
  const part = { body: nothing(), maxBytes: 100, signal: new AbortController().signal };
  const body = await other.complete(name, part, join(path, 'whole'));
  expect(body).toMatchObject({ size: 4, digest: `sha256:${createHash('sha256').update('xxxx').digest('hex')}` });
  await expect(one.state(name)).rejects.toMatchObject({ kind: 'not-found' });
  await body.release();
  expect([one.used, other.used]).toEqual([0, 0]);
});

async function add(sessions: UploadSessions, id: string): Promise<void> {
  async function* body(): AsyncGenerator<Buffer> {
    yield Buffer.from('x');
  }
  const signal = new AbortController().signal;
  await sessions.append({ repository: 'a', scope: 's', id }, { body: body(), maxBytes: 100, signal });
}

it('gives the place of the oldest empty session of somebody who has too many, and of nobody else', async () => {
  const sessions = await open();
  const other = await sessions.begin('a', 's', 'other');
  const used = await sessions.begin('a', 's', 'many');
  await add(sessions, used.id);
  const oldest = await sessions.begin('a', 's', 'many');
  const second = await sessions.begin('a', 's', 'many');
  for (let count = 3; count < 1000; count += 1) await sessions.begin('a', 's', 'many');
  await sessions.begin('a', 's', 'many');
  const state = (id: string) => sessions.state({ repository: 'a', scope: 's', id });
  await expect(state(oldest.id)).rejects.toMatchObject({ kind: 'not-found' });
  expect(await Promise.all([other, used, second].map(({ id }) => state(id)))).toMatchObject([
    { size: 0 },
    { size: 1 },
    { size: 0 },
  ]);
});

it('refuses one more to somebody whose sessions all have bytes, and to nobody else', async () => {
  const sessions = await open();
  for (let count = 0; count < 1000; count += 1) await add(sessions, (await sessions.begin('a', 's', 'many')).id);
  await expect(sessions.begin('a', 's', 'many')).rejects.toMatchObject({ code: 'TOO_MANY_SESSIONS', status: 503 });
  expect(await sessions.begin('a', 's', 'other')).toMatchObject({ size: 0 });
  expect(await sessions.begin('b', 's', 'many')).toMatchObject({ size: 0 });
});
