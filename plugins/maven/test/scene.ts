import { FakeUpstream, openTestRepository, type TestRepository } from '@entrepot/core/testing';
import { onTestFinished } from 'vitest';
import plugin from '../src/index.js';
import { sum } from './fixtures.js';

/** A proxy of upstreams that are places of one server. */
export interface Scene extends Pick<TestRepository, 'ask' | 'clock' | 'entries'> {
  /** Places of upstreams by their name. */
  readonly upstream: FakeUpstream;
  serve(place: string, path: string, body: string, withSum?: boolean): void;
  fail(place: string, path: string, status: number): void;
  asked(): string[];
  text(path: string): Promise<string>;
}

/** Opens a proxy of `places`. @param options of the repository, with the URLs of places @param more what else the repository is opened with */
export async function open(
  options: (url: (place: string) => string) => object = () => ({}),
  places = ['one'],
  more = {},
  fallback?: 'any-error',
): Promise<Scene> {
  const upstream = await FakeUpstream.start();
  const url = (place: string): string => `${upstream.url}/${place}`;
  const upstreams = places.map((place) => ({ url: url(place), fallback }));
  const repository = await openTestRepository({ plugin, options: options(url), definition: { upstreams }, ...more });
  onTestFinished(async () => {
    await repository.close();
    await upstream.close();
  });
  const serve: Scene['serve'] = (place, path, body, withSum = true) => {
    upstream.serve(`/${place}${path}`, {
      body,
      ...(path.endsWith('.pom') && { lastModified: 'Mon, 05 Jan 2026 00:00:00 GMT' }),
    });
    if (withSum) upstream.serve(`/${place}${path}.sha1`, { body: `${sum('sha1', body)}  file\n` });
  };
  return {
    upstream,
    ask: repository.ask,
    clock: repository.clock,
    entries: repository.entries,
    serve,
    fail: (place, path, status) => upstream.serve(`/${place}${path}`, { status }),
    asked: () => upstream.requests.map(({ path }) => path),
    text: async (path) => (await repository.ask(path)).body.toString(),
  };
}

/** The versions that metadata lists. */
export const versionsIn = (body: string): string[] =>
  [...body.matchAll(/<version>([^<]+)</g)].map(([, one]) => one as string);
