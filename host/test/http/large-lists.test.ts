import { createHash } from 'node:crypto';
import { FakeUpstream } from '@entrepot/core/testing';
import { expect, it, onTestFinished } from 'vitest';
import { startWatched, type WatchedServer } from './hostile/server.js';

/** The longest time for which one request may hold the event loop, in milliseconds. */
const LONGEST = 50;
/** Long lists take a loaded machine long: nobody else waits meanwhile. */
const PATIENCE = 60_000;

async function start(): Promise<{ readonly server: WatchedServer; readonly upstream: FakeUpstream }> {
  const upstream = await FakeUpstream.start();
  onTestFinished(() => upstream.close());
  const { url } = upstream;
  const server = await startWatched(
    {
      server: { listen: '127.0.0.1:0' },
      policy: { rules: [{ id: 'old', match: { versions: ['v0.0.1', '0.0.1'] }, action: 'deny', reason: 'old' }] },
      repositories: { go: { type: 'go', upstream: url, sumdb: 'off' }, images: { type: 'oci', upstream: url } },
    },
    {},
    PATIENCE,
  );
  return { server, upstream };
}

/** The least of what three requests for the same held it, each for something that was not asked for before. */
async function held(server: WatchedServer, paths: readonly string[], status = 200): Promise<number> {
  const times: number[] = [];
  for (const path of paths) {
    await server.held();
    expect(await server.ask({ method: 'GET', path, headers: {} })).toBe(status);
    times.push(await server.held());
    if ((times.at(-1) as number) <= LONGEST) break;
  }
  return Math.min(...times);
}

it('holds the event loop for no list of 400,000 versions of a Go module', { timeout: 240_000 }, async () => {
  const { server, upstream } = await start();
  const body = Array.from({ length: 400_000 }, (_, at) => `v1.${(at * 7919) % 400_000}.${at % 7}\n`).join('');
  const names = ['a', 'b', 'c'];
  for (const name of names) upstream.serve(`/a.test/${name}/@v/list`, { body, mediaType: 'text/plain' });
  expect(
    await held(
      server,
      names.map((name) => `/go/a.test/${name}/@v/list`),
    ),
  ).toBeLessThanOrEqual(LONGEST);
});

it('holds the event loop for no list of 1,000,000 tags', { timeout: 240_000 }, async () => {
  const { server, upstream } = await start();
  const tags = Array.from({ length: 1_000_000 }, (_, at) => `1.${(at * 7919) % 1_000_000}.0`);
  const body = JSON.stringify({ name: 'a', tags });
  const names = ['a', 'b', 'c'];
  for (const name of names) upstream.serve(`/v2/${name}/tags/list`, { body, mediaType: 'application/json' });
  expect(
    await held(
      server,
      names.map((name) => `/v2/images/${name}/tags/list`),
    ),
  ).toBeLessThanOrEqual(LONGEST);
});

it('holds the event loop for no digest that is missing behind many tags', { timeout: 240_000 }, async () => {
  const { server, upstream } = await start();
  const digestOf = (body: string): string => `sha256:${createHash('sha256').update(body).digest('hex')}`;
  const mediaType = 'application/vnd.oci.image.index.v1+json';
  for (let tag = 0; tag < 500; tag += 1) {
    const manifests = Array.from({ length: 500 }, (_, at) => ({
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest: digestOf(`${tag} ${at}`),
      size: 1,
    }));
    const body = JSON.stringify({ schemaVersion: 2, mediaType, manifests });
    const headers = { 'docker-content-digest': digestOf(body) };
    for (const name of [`${tag}`, digestOf(body)]) {
      upstream.serve(`/v2/app/manifests/${name}`, { body, mediaType, headers });
    }
    expect(await server.ask({ method: 'GET', path: `/v2/images/app/manifests/${tag}`, headers: {} })).toBe(200);
  }
  const paths = ['a', 'b', 'c'].map((digit) => `/v2/images/app/manifests/sha256:${digit.repeat(64)}`);
  expect(await held(server, paths, 404)).toBeLessThanOrEqual(LONGEST);
});
