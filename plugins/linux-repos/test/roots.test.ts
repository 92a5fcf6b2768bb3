import { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Logger, Root } from '@entrepot/core';
import { sha256 } from '@entrepot/fixtures/deb-archive';
import { FakeUpstream, Gate, openTestRepository, pseudoRandom } from '@entrepot/core/testing';
import plugin from '../src/deb/index.js';
import { debOf, FOLDER, MINUTE, openScene, START, UPSTREAM_PATH, type Scene } from './scene.js';

const STABLE = 'dists/stable';
const POINTER = `/${STABLE}/InRelease`;
const DAY = 24 * 60 * MINUTE;

const rootsOf = async ({ engine }: Pick<Scene, 'engine'>): Promise<readonly Root[]> =>
  (await engine.roots?.list()) ?? [];
const stateOf = async (scene: Scene): Promise<string | undefined> =>
  (await rootsOf(scene)).find(({ name }) => name === STABLE)?.state;
const refresh = async ({ engine }: Scene, name = STABLE): Promise<Root> => (await engine.roots?.refresh(name)) as Root;

/** A logger that collects what is said of roots. */
function logged(): { readonly logger: Logger; readonly said: object[] } {
  const said: object[] = [];
  const say = (fields: object, message: string): void => {
    if (message === 'a root is in another state') said.push(fields);
  };
  return { logger: { debug: say, info: say, warn: say, error: say } as unknown as Logger, said };
}

/** Has the mirror answer `status` for all that it has. */
function failWith({ upstream, archive }: Scene, status: number): void {
  for (const path of archive.files.keys()) upstream.serve(`${UPSTREAM_PATH}/${path}`, { status });
}

describe('the state of a suite', () => {
  it('is suspect and then blocked while the mirror fails, and what was published last is served', async () => {
    const { logger, said } = logged();
    const scene = await openScene({}, undefined, undefined, { services: { logger } });
    const before = await scene.ask(POINTER);
    expect(before.headers['x-cache-state']).toBeUndefined();
    expect(await stateOf(scene)).toBe('active');
    failWith(scene, 500);
    for (const state of ['suspect', 'suspect', 'suspect', 'suspect', 'blocked', 'blocked']) {
      scene.clock.advance(4 * MINUTE);
      const { body, headers } = await scene.ask(POINTER);
      expect(body.equals(before.body)).toBe(true);
      expect([headers['x-cache-state'], await stateOf(scene)]).toEqual([state, state]);
    }
    const [root] = await rootsOf(scene);
    expect(root).toMatchObject({ name: STABLE, date: START, publishedAt: START, usedAt: scene.clock.now() });
    expect(root?.error).toContain('InRelease');
    expect(root?.generation).toBe(before.headers['x-cache-generation']);
    await scene.publish();
    scene.clock.advance(70 * MINUTE);
    expect((await scene.ask(POINTER)).headers['x-cache-state']).toBeUndefined();
    expect(await stateOf(scene)).toBe('active');
    expect(said.map((fields) => Object.values(fields).slice(0, 3))).toEqual([
      [STABLE, 'pending', 'active'],
      [STABLE, 'active', 'suspect'],
      [STABLE, 'suspect', 'blocked'],
      [STABLE, 'blocked', 'active'],
    ]);
  });

  it('ends with the next answer of the mirror, where it is suspect', async () => {
    const { freshness } = (await openScene()).engine.definition;
    const impatient = { ...freshness, generations: { ...freshness['generations']!, freshFor: 1000 } };
    const scene = await openScene({}, undefined, undefined, { definition: { freshness: impatient } });
    await scene.ask(POINTER);
    failWith(scene, 500);
    scene.clock.advance(2000);
    await scene.ask(POINTER);
    expect(await stateOf(scene)).toBe('suspect');
    await scene.publish(1000);
    scene.clock.advance(2000);
    expect((await scene.ask(POINTER)).headers['x-cache-state']).toBeUndefined();
  });

  it('leaves mirrors alone that have refused, and not where an administrator asks', async () => {
    const scene = await openScene();
    await scene.ask(POINTER);
    failWith(scene, 403);
    scene.clock.advance(3 * MINUTE);
    await scene.ask(POINTER);
    expect(await stateOf(scene)).toBe('blocked');
    scene.asked();
    // Longer than the state is fresh, and shorter than the wait.
    scene.clock.advance(MINUTE);
    await scene.ask(POINTER);
    expect(scene.asked()).toEqual([]);
    expect((await refresh(scene)).error).toContain('403');
    expect(scene.asked()).toContain(`${STABLE}/InRelease`);
    await scene.publish();
    expect(await refresh(scene)).toMatchObject({ state: 'active', error: undefined });
  });

  it('is suspect where what the mirror has is not to be trusted, or soon is over', async () => {
    const scene = await openScene();
    await scene.ask(POINTER);
    scene.upstream.serve(UPSTREAM_PATH + POINTER, { body: '<html>Log in</html>' });
    expect((await refresh(scene)).state).toBe('suspect');
    await scene.publish(MINUTE);
    expect((await refresh(scene)).state).toBe('active');
    await scene.publish(0);
    const { state, error, date } = await refresh(scene);
    expect([state, date]).toEqual(['suspect', START + MINUTE]);
    expect(error).toContain('older');
    scene.archive.validFor = 60 * MINUTE;
    await scene.publish(2 * MINUTE);
    expect((await refresh(scene)).state).toBe('active');
    scene.clock.advance(55 * MINUTE);
    const late = await refresh(scene);
    expect([late.state, late.error]).toEqual(['suspect', expect.stringContaining('valid until')]);
  });

  it('outlasts a restart', async () => {
    const scene = await openScene();
    await scene.ask(POINTER);
    await scene.upstream.goOffline();
    scene.clock.advance(3 * MINUTE);
    await scene.ask(POINTER);
    const { blobs, entries } = scene;
    const again = await openTestRepository({ plugin, stores: { blobs, entries } });
    onTestFinished(() => again.close());
    const [{ usedAt, ...root }] = (await rootsOf(scene)) as [Root];
    // The last use is noted with the next refresh.
    expect(await again.engine.roots?.list()).toEqual([{ ...root, usedAt: START }]);
    expect([root.state, usedAt]).toEqual(['suspect', START + 3 * MINUTE]);
  });

  it('is removed when no mirror has had it for five minutes, until one has it again', async () => {
    const scene = await openScene();
    const packages = scene.archive.files.get(`${FOLDER}/Packages`)!;
    await scene.ask(POINTER);
    await scene.text(`/${FOLDER}/Packages`);
    for (const path of scene.archive.files.keys()) scene.upstream.remove(`${UPSTREAM_PATH}/${path}`);
    for (const state of ['suspect', 'suspect', 'suspect', 'suspect', 'removed']) {
      expect((await scene.ask(POINTER)).status).toBe(200);
      scene.clock.advance(2 * MINUTE);
      expect((await refresh(scene)).state).toBe(state);
    }
    expect((await scene.ask(POINTER)).status).toBe(404);
    expect((await rootsOf(scene))[0]?.dueAt).toBeUndefined();
    expect(await scene.text(`/${FOLDER}/by-hash/SHA256/${sha256(packages)}`)).toBe(packages.toString('latin1'));
    await scene.publish();
    scene.clock.advance(5 * MINUTE);
    expect((await scene.ask(POINTER)).status).toBe(200);
    expect(await stateOf(scene)).toBe('active');
  });

  it('is not removed while one mirror cannot be asked', async () => {
    const other = await FakeUpstream.start();
    onTestFinished(() => other.close());
    other.handle(`${UPSTREAM_PATH}${POINTER}`, (_request, response) => void response.writeHead(503).end());
    const scene = await openScene();
    const upstreams = [{ url: scene.upstreamUrl }, { url: other.url + UPSTREAM_PATH }];
    const { blobs, entries } = scene;
    const two = await openTestRepository({ plugin, definition: { upstreams }, stores: { blobs, entries } });
    onTestFinished(() => two.close());
    expect((await two.ask(POINTER)).status).toBe(200);
    for (const path of scene.archive.files.keys()) scene.upstream.remove(`${UPSTREAM_PATH}/${path}`);
    for (let count = 0; count < 8; count += 1) {
      two.clock.advance(90 * MINUTE);
      expect((await two.engine.roots?.refresh(STABLE))?.state).toBe(count < 4 ? 'suspect' : 'blocked');
    }
    expect((await two.ask(POINTER)).status).toBe(200);
  });

  it('is frozen by the configuration', async () => {
    const scene = await openScene({ frozen: { [STABLE]: '20260101T003000Z' } });
    expect(await rootsOf(scene)).toEqual([{ name: STABLE, state: 'frozen' }]);
    await expect(refresh(scene)).rejects.toMatchObject({ kind: 'conflict' });
    expect(scene.upstream.requests).toEqual([]);
  });
});

describe('suites that were never published', () => {
  it('leave nothing where no mirror has them, however many are asked for', async () => {
    const scene = await openScene();
    for (let count = 0; count < 1000; count += 1) {
      const { status } = await scene.ask(`/dists/invented-${count}/InRelease`);
      expect(status).toBe(404);
    }
    expect(await rootsOf(scene)).toEqual([]);
    expect(await scene.entries.list('test', { prefix: '', limit: 10 })).toEqual([]);
    await scene.ask(POINTER);
    expect((await rootsOf(scene)).map(({ name, state }) => [name, state])).toEqual([[STABLE, 'active']]);
  });

  it('are pending while mirrors fail, the ones asked for last', async () => {
    const scene = await openScene({ roots: { most: 2 } });
    await scene.upstream.goOffline();
    for (const suite of ['one', 'two', 'three'])
      expect((await scene.ask(`/dists/${suite}/InRelease`)).status).toBe(502);
    expect((await rootsOf(scene)).map(({ name, state }) => [name, state])).toEqual([
      ['dists/two', 'pending'],
      ['dists/three', 'pending'],
    ]);
    expect((await rootsOf(scene))[0]?.error).toContain('InRelease');
    await expect(refresh(scene, 'dists/one')).rejects.toMatchObject({ kind: 'not-found' });
    await expect(refresh(scene, 'dists/two')).rejects.toMatchObject({ kind: 'upstream-unavailable' });
  });

  it('have room that removed ones leave', async () => {
    const scene = await openScene({ roots: { most: 1 } });
    await scene.ask(POINTER);
    for (const path of scene.archive.files.keys()) scene.upstream.remove(`${UPSTREAM_PATH}/${path}`);
    expect((await scene.ask('/dists/other/InRelease')).status).toBe(403);
    for (let count = 0; count < 6; count += 1) {
      scene.clock.advance(2 * MINUTE);
      await refresh(scene);
    }
    expect(await stateOf(scene)).toBe('removed');
    scene.archive.suite = 'dists/other';
    await scene.publish();
    expect((await scene.ask('/dists/other/InRelease')).status).toBe(200);
    expect((await scene.ask('/dists/more/InRelease')).status).toBe(403);
  });
});

describe('the refresh of suites', () => {
  it('is due after the interval, a little later for some, as long as clients ask within 14 days', async () => {
    const scene = await openScene({ refreshInterval: '1h' });
    await scene.ask(POINTER);
    const [root] = await rootsOf(scene);
    const after = ((root?.dueAt ?? 0) - START) / MINUTE;
    expect(after >= 60 && after <= 66).toBe(true);
    scene.archive.add('hello', '2.0');
    await scene.publish(MINUTE);
    scene.clock.advance(65 * MINUTE);
    const refreshed = await refresh(scene);
    expect(refreshed).toMatchObject({
      state: 'active',
      publishedAt: scene.clock.now(),
      date: START + MINUTE,
      usedAt: START,
    });
    expect(refreshed.generation).not.toBe(root?.generation);
    scene.clock.advance(14 * DAY);
    expect((await rootsOf(scene))[0]).toMatchObject({ state: 'active', dueAt: undefined });
    await scene.ask(POINTER);
    expect((await rootsOf(scene))[0]?.dueAt).toBeGreaterThan(scene.clock.now());
    const off = await openScene({ refreshInterval: '0' });
    await off.ask(POINTER);
    expect((await rootsOf(off))[0]).toMatchObject({ state: 'active', dueAt: undefined });
  });

  it('brings new index files in the place of those that clients use', async () => {
    const scene = await openScene();
    await scene.ask(POINTER);
    await scene.text(`/${FOLDER}/Packages.gz`);
    scene.archive.add('hello', '2.0');
    await scene.publish(MINUTE);
    scene.clock.advance(65 * MINUTE);
    await refresh(scene);
    await scene.upstream.goOffline();
    const packages = scene.archive.files.get(`${FOLDER}/Packages.gz`)!;
    expect(await scene.text(POINTER)).toContain(sha256(packages));
    expect(await scene.text(`/${FOLDER}/Packages.gz`)).toBe(packages.toString('latin1'));
  });

  it('is waited for a moment: then a client gets what was published last', async () => {
    const { freshness } = (await openScene()).engine.definition;
    const patience = { ...freshness, generations: { ...freshness['generations']!, staleAfter: 20 } };
    const scene = await openScene({}, undefined, undefined, { definition: { freshness: patience } });
    const before = await scene.text(POINTER);
    scene.archive.add('hello', '2.0');
    await scene.publish(MINUTE);
    scene.clock.advance(5 * MINUTE);
    const gate = new Gate();
    const bytes = scene.archive.files.get(POINTER.slice(1))!;
    scene.upstream.handle(`${UPSTREAM_PATH}${POINTER}`, async (_request, response) => {
      await gate.pass();
      response.end(bytes);
    });
    const request = { method: 'GET', rawPath: POINTER, rawQuery: '', header: () => undefined, baseUrl: '' };
    const reply = await scene.engine.handle({
      ...request,
      body: Readable.from([]),
      signal: AbortSignal.timeout(60_000),
    });
    expect([reply.status, String(reply.body)]).toEqual([200, before]);
    gate.open();
    while (scene.engine.flights() > 0) await turn();
    expect(await scene.text(POINTER)).toBe(bytes.toString('latin1'));
  });

  it('gives up after its time', async () => {
    const patient = await openScene();
    await patient.ask(POINTER);
    const stalled = await openTestRepository({
      plugin,
      options: { refreshTimeout: '50ms' },
      definition: { upstreams: [{ url: patient.upstreamUrl }] },
      stores: { blobs: patient.blobs, entries: patient.entries },
    });
    onTestFinished(() => stalled.close());
    patient.upstream.serve(`${UPSTREAM_PATH}${POINTER}`, { body: 'slow', fault: { kind: 'stall', after: 0 } });
    const root = await stalled.engine.roots?.refresh(STABLE);
    expect([root?.state, root?.error]).toEqual(['suspect', 'refreshing dists/stable took longer than 50 ms']);
  });
});

describe('a package that no mirror has any more', () => {
  it('is found by the index that replaced the one with its name', async () => {
    const scene = await openScene({}, (archive) => archive.add('app', '1', { path: 'app.deb' }));
    await scene.ask(POINTER);
    await scene.text(`/${FOLDER}/Packages`);
    const second = scene.archive.add('app', '2', { path: 'app.deb' });
    await scene.publish(MINUTE);
    let asked = 0;
    scene.upstream.handle(`${UPSTREAM_PATH}/app.deb`, (_request, response) => {
      asked += 1;
      // The mirror takes the earlier one away before it has the next.
      if (asked === 1) response.writeHead(404).end();
      else response.end(second.bytes);
    });
    scene.clock.advance(MINUTE);
    expect(await scene.text('/app.deb')).toBe(second.bytes.toString('latin1'));
    expect((await rootsOf(scene))[0]?.date).toBe(START + MINUTE);
  });

  it('is another one as soon as the list that says so is here', async () => {
    const scene = await openScene({}, (archive) => archive.add('app', '1', { path: 'app.deb' }));
    await scene.ask(POINTER);
    await scene.text(`/${FOLDER}/Packages`);
    const before = await scene.text('/app.deb');
    const second = scene.archive.add('app', '2', { path: 'app.deb' });
    await scene.publish(MINUTE);
    const lists = [...scene.archive.files].filter(([path]) => path.includes('/binary-'));
    for (const [path] of lists) scene.upstream.remove(`${UPSTREAM_PATH}/${path}`);
    scene.clock.advance(120 * MINUTE);
    await scene.ask(POINTER);
    expect((await rootsOf(scene))[0]?.date).toBe(START + MINUTE);
    expect(await scene.text('/app.deb')).toBe(before);
    for (const [path, body] of lists) scene.upstream.serve(`${UPSTREAM_PATH}/${path}`, { body });
    scene.clock.advance(MINUTE);
    await scene.text(`/${FOLDER}/Packages`);
    expect(await scene.text('/app.deb')).toBe(second.bytes.toString('latin1'));
  });

  it('is not found where the newest index does not list it either', async () => {
    const scene = await openScene();
    await scene.ask(POINTER);
    await scene.text(`/${FOLDER}/Packages`);
    const path = debOf(scene, 'hello');
    scene.archive.add('hello', '2.0');
    await scene.publish(MINUTE);
    scene.upstream.remove(`${UPSTREAM_PATH}/${path}`);
    scene.clock.advance(MINUTE);
    expect(await scene.text(`/${path}`)).toBe('404');
    expect((await rootsOf(scene))[0]?.date).toBe(START + MINUTE);
    expect((await scene.ask(`/${debOf(scene, 'hello')}`)).status).toBe(200);
  });

  it('causes one refresh in half a minute', async () => {
    const scene = await openScene();
    await scene.ask(POINTER);
    await scene.text(`/${FOLDER}/Packages`);
    const path = debOf(scene, 'hello');
    scene.upstream.remove(`${UPSTREAM_PATH}/${path}`);
    scene.clock.advance(MINUTE);
    const pointers = async (): Promise<number> => {
      scene.asked();
      expect(await scene.text(`/${path}`)).toBe('404');
      return scene.asked().filter((one) => one.endsWith('InRelease')).length;
    };
    expect(await pointers()).toBe(1);
    scene.clock.advance(10_000);
    expect(await pointers()).toBe(0);
    scene.clock.advance(MINUTE);
    expect(await pointers()).toBe(1);
  });
});

describe('index files that a mirror has by their names alone', () => {
  it('are taken from there, if they are what the signed index says', async () => {
    const scene = await openScene();
    for (const path of scene.archive.files.keys())
      if (path.includes('by-hash')) scene.upstream.remove(`${UPSTREAM_PATH}/${path}`);
    const packages = scene.archive.files.get(`${FOLDER}/Packages`)!;
    await scene.ask(POINTER);
    expect(await scene.text(`/${FOLDER}/by-hash/SHA256/${sha256(packages)}`)).toBe(packages.toString('latin1'));
    expect(scene.asked().filter((path) => path.startsWith(FOLDER))).toEqual([
      `${FOLDER}/by-hash/SHA256/${sha256(packages)}`,
      `${FOLDER}/Packages`,
    ]);
    const zst = scene.archive.files.get(`${FOLDER}/Packages.zst`)!;
    expect(await scene.text(`/${FOLDER}/Packages.zst`)).toBe(zst.toString('latin1'));
    scene.upstream.serve(`${UPSTREAM_PATH}/${FOLDER}/Packages.gz`, { body: 'other' });
    expect(await scene.text(`/${FOLDER}/Packages.gz`)).toBe('502');
  });
});

describe('what is kept of a suite', () => {
  it('is held from eviction as long as its generations are: their documents, and no package', async () => {
    const scene = await openScene({ keepGenerations: 1 });
    const keys = async (): Promise<string[]> => [...((await scene.engine.roots?.heldKeys()) ?? [])].sort();
    expect(await keys()).toEqual([]);
    await scene.ask(POINTER);
    await scene.text(`/${FOLDER}/Packages`);
    await scene.text(`/${debOf(scene, 'hello')}`);
    const documents = () =>
      ['InRelease', 'Release', 'Release.gpg']
        .map((name) => `pointer/${sha256(scene.archive.files.get(`${STABLE}/${name}`)!)}`)
        .concat(`index/${sha256(scene.archive.files.get(`${FOLDER}/Packages`)!)}`);
    const first = documents();
    expect(await keys()).toEqual([`generations/${STABLE}`, ...first].sort());
    scene.archive.add('hello', '2.0');
    await scene.publish(MINUTE);
    scene.clock.advance(60 * MINUTE);
    await refresh(scene);
    expect(await keys()).toEqual([`generations/${STABLE}`, ...first, ...documents()].sort());
    // A day after they were replaced, by the next one.
    scene.clock.advance(25 * 60 * MINUTE);
    const second = documents();
    scene.archive.add('hello', '3.0');
    await scene.publish(2 * MINUTE);
    await refresh(scene);
    expect(await keys()).toEqual([`generations/${STABLE}`, ...second, ...documents()].sort());
  });

  it('is found by its paths, for a purge', async () => {
    const scene = await openScene();
    const keysAt = async (rawPath: string) => (await scene.engine.keysAt({ rawPath, rawQuery: '' }))?.keys;
    const deb = `/${debOf(scene, 'hello')}`;
    expect(await keysAt(deb)).toEqual([]);
    expect(await keysAt(POINTER)).toEqual([]);
    const first = await scene.ask(POINTER);
    const packages = await scene.ask(`/${FOLDER}/Packages`);
    const { body } = await scene.ask(deb);
    scene.asked();
    expect(await keysAt(deb)).toEqual([`package/${sha256(body)}`]);
    expect(await keysAt(`/./${deb.slice(1)}`)).toEqual([`package/${sha256(body)}`]);
    expect(await keysAt(`/${FOLDER}/Packages`)).toEqual([`index/${sha256(packages.body)}`]);
    const suite = await keysAt(`/${STABLE}`);
    expect(suite).toEqual(await keysAt(POINTER));
    expect(suite).toContain(`generations/${STABLE}`);
    expect(suite).toContain(`pointer/${sha256(first.body)}`);
    expect(suite).toContain(`upstream/${STABLE}/InRelease`);
    expect(scene.asked()).toEqual([]);
    // Without these, it is fetched anew, also where it is older than it was.
    for (const key of suite ?? []) {
      expect(await scene.entries.find('test', key)).toBeDefined();
      await scene.entries.remove('test', key);
    }
    await scene.engine.forget({ keys: suite, takes: ({ key }) => suite?.includes(key) === true });
    const { blobs, entries } = scene;
    const again = await openTestRepository({
      plugin,
      definition: { upstreams: [{ url: scene.upstreamUrl }] },
      stores: { blobs, entries },
    });
    onTestFinished(() => again.close());
    await scene.publish(-MINUTE);
    expect((await again.ask(POINTER)).body.equals(scene.archive.files.get(POINTER.slice(1))!)).toBe(true);
  });
});

describe('a suite with two mirrors, in any sequence of events', () => {
  type Mirror = 'has it' | 'lacks it' | 'fails' | 'refuses' | 'has a page';
  const STATES: readonly Mirror[] = ['has it', 'lacks it', 'lacks it', 'fails', 'refuses', 'has a page'];

  it.each([1, 2, 3, 4])('is served verified, goes on in time, and keeps its documents (%i)', async (seed) => {
    const next = pseudoRandom(seed);
    const choose = <Value>(values: readonly Value[]): Value => values[Math.floor(next() * values.length)] as Value;
    const { archive, publish, upstream } = await openScene();
    const mirrors = [upstream, await FakeUpstream.start()];
    onTestFinished(() => mirrors[1]?.close());
    const has: Mirror[] = ['has it', 'has it'];
    const show = (): void => {
      for (const [index, mirror] of mirrors.entries())
        for (const [path, body] of archive.files) {
          const place = `${UPSTREAM_PATH}/${path}`;
          if (has[index] === 'has it') mirror.serve(place, { body, etag: `"${sha256(body)}"` });
          else if (has[index] === 'lacks it') mirror.remove(place);
          else if (has[index] === 'has a page') mirror.serve(place, { body: '<html>', mediaType: 'text/html' });
          else mirror.serve(place, { status: has[index] === 'fails' ? 500 : 403 });
        }
    };
    const upstreams = mirrors.map(({ url }) => ({ url: url + UPSTREAM_PATH }));
    const options = { keepGenerations: 2 };
    const { ask, clock, engine, entries, close } = await openTestRepository({
      plugin,
      options,
      definition: { upstreams },
    });
    onTestFinished(close);
    const good = new Set<string>();
    let late = 0;
    const change = async (): Promise<void> => {
      archive.add('hello', `${late}`);
      await publish((late += 1000));
      good.add(sha256(archive.files.get(POINTER.slice(1))!));
    };
    await change();
    show();
    await ask(POINTER);
    let before = (await rootsOf({ engine }))[0] as Root;
    let misses: number[] = [];
    for (let step = 0; step < 60; step += 1) {
      const event = next();
      if (event < 0.15) await change();
      else if (event < 0.5) has[choose([0, 1])] = choose(STATES);
      else if (event < 0.7) has.fill('lacks it');
      else await ask(`/${FOLDER}/Packages`);
      show();
      clock.advance(Math.floor(next() * 3 * MINUTE));
      const root = (await engine.roots?.refresh(STABLE)) as Root;
      misses = has.every((one) => one === 'lacks it') ? [...misses, clock.now()] : [];
      if (root.state === 'removed' && before.state !== 'removed')
        expect([misses.length >= 5, clock.now() - (misses[0] ?? Infinity) >= 5 * MINUTE]).toEqual([true, true]);
      expect(root.date).toBeGreaterThanOrEqual(before.date ?? 0);
      expect(root.publishedAt).toBeGreaterThanOrEqual(before.publishedAt ?? 0);
      const { status, body } = await ask(POINTER);
      expect(status).toBe(root.state === 'removed' ? 404 : 200);
      if (status === 200) expect(good).toContain(sha256(body));
      for (const key of (await engine.roots?.heldKeys()) ?? []) expect(await entries.find('test', key)).toBeDefined();
      before = root;
    }
  });
});
