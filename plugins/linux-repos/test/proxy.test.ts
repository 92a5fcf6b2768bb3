import { describe, expect, it, onTestFinished } from 'vitest';
import { DebArchive, sha256 } from '@entrepot/fixtures/deb-archive';
import { FixedPolicy, openTestRepository } from '@entrepot/core/testing';
import plugin from '../src/deb/index.js';
import { debOf, FOLDER, MINUTE, openScene as open, START, UPSTREAM_PATH } from './scene.js';

describe('a proxy of an archive', () => {
  it('serves the pointer documents, index files and packages of one generation', async () => {
    const scene = await open();
    const { text, archive } = scene;
    for (const name of ['InRelease', 'Release', 'Release.gpg'])
      expect(await text(`/dists/stable/${name}`)).toBe(archive.files.get(`dists/stable/${name}`)!.toString('latin1'));
    const packages = archive.files.get(`${FOLDER}/Packages.gz`)!;
    expect(await text(`/${FOLDER}/Packages.gz`)).toBe(packages.toString('latin1'));
    expect(await text(`/${FOLDER}/by-hash/SHA256/${sha256(packages)}`)).toBe(packages.toString('latin1'));
    expect(await text(`/${debOf(scene, 'hello')}`)).toBe(archive.packages[0]!.bytes.toString('latin1'));
    scene.upstream.goOffline();
    scene.clock.advance(10 * MINUTE);
    expect(await text(`/${FOLDER}/Packages.gz`)).toBe(packages.toString('latin1'));
    expect(await text(`/${debOf(scene, 'hello')}`)).toBe(archive.packages[0]!.bytes.toString('latin1'));
  });

  it('publishes a generation with the index files that clients use, and no other', async () => {
    const scene = await open();
    await scene.text('/dists/stable/InRelease');
    await scene.text(`/${FOLDER}/Packages.gz`);
    scene.asked();
    scene.archive.add('hello', '2.0');
    await scene.publish(MINUTE);
    scene.clock.advance(5 * MINUTE);
    await scene.text('/dists/stable/InRelease');
    const packages = scene.archive.files.get(`${FOLDER}/Packages.gz`)!;
    expect(scene.asked().filter((path) => path.startsWith(FOLDER))).toEqual([
      `${FOLDER}/by-hash/SHA256/${sha256(packages)}`,
    ]);
    scene.clock.advance(5 * MINUTE);
    await scene.text('/dists/stable/InRelease');
    expect(scene.asked()).toEqual(['dists/stable/InRelease']);
  });

  it('keeps the last generation while a mirror is being changed', async () => {
    const scene = await open();
    const before = await scene.text('/dists/stable/InRelease');
    await scene.text(`/${FOLDER}/Packages.gz`);
    scene.archive.add('hello', '2.0');
    await scene.publish(MINUTE);
    const packages = scene.archive.files.get(`${FOLDER}/Packages.gz`)!;
    const place = `${UPSTREAM_PATH}/${FOLDER}/by-hash/SHA256/${sha256(packages)}`;
    scene.upstream.remove(place);
    scene.upstream.serve(`${UPSTREAM_PATH}/${FOLDER}/Packages.gz`, { body: 'Package: other\n' });
    scene.clock.advance(5 * MINUTE);
    expect(await scene.text('/dists/stable/InRelease')).toBe(before);
    scene.upstream.serve(place, { body: packages });
    scene.clock.advance(5 * MINUTE);
    expect(await scene.text('/dists/stable/InRelease')).not.toBe(before);
  });

  it('gives a client that reads by names the generation that it began with', async () => {
    const scene = await open({ leaseFor: '10m' });
    await scene.text('/dists/stable/InRelease');
    const before = await scene.text(`/${FOLDER}/Packages`);
    scene.archive.add('hello', '2.0');
    await scene.publish(MINUTE);
    scene.clock.advance(3 * MINUTE);
    expect(await scene.text(`/${FOLDER}/Packages`)).toBe(before);
    await scene.text('/dists/stable/InRelease');
    expect(await scene.text(`/${FOLDER}/Packages`)).not.toBe(before);
  });

  it('finds other bytes under a name that is used again, and the earlier ones for who reads the earlier index', async () => {
    const scene = await open({}, (archive) => archive.add('app', '1', { path: 'app.deb' }));
    const first = scene.archive.packages.find(({ name }) => name === 'app')!;
    await scene.text('/dists/stable/InRelease');
    await scene.text(`/${FOLDER}/Packages`);
    expect(await scene.text('/app.deb')).toBe(first.bytes.toString('latin1'));
    const second = scene.archive.add('app', '2', { path: 'app.deb' });
    await scene.publish(MINUTE);
    scene.clock.advance(MINUTE);
    expect(await scene.text('/app.deb')).toBe(first.bytes.toString('latin1'));
    scene.clock.advance(5 * MINUTE);
    await scene.text('/dists/stable/InRelease');
    await scene.text(`/${FOLDER}/Packages`);
    expect(await scene.text('/app.deb')).toBe(second.bytes.toString('latin1'));
  });

  it('serves states of the past, and suites that are frozen', async () => {
    const scene = await open({ keepGenerations: 10 });
    const first = await scene.text('/dists/stable/InRelease');
    await scene.text(`/${FOLDER}/Packages`);
    const { bytes } = scene.archive.packages[0]!;
    await scene.text(`/${debOf(scene, 'hello')}`);
    const path = debOf(scene, 'hello');
    scene.archive.add('hello', '2.0');
    await scene.publish(MINUTE);
    scene.clock.advance(60 * MINUTE);
    expect(await scene.text('/dists/stable/InRelease')).not.toBe(first);
    const past = '/snapshots/20260101T003000Z';
    expect(await scene.text(`${past}/dists/stable/InRelease`)).toBe(first);
    expect(await scene.text(`${past}/${FOLDER}/Packages`)).toContain('Version: 1.0');
    expect(await scene.text(`${past}/${path}`)).toBe(bytes.toString('latin1'));
    expect(await scene.text('/snapshots/20250101T000000Z/dists/stable/InRelease')).toBe('404');
    const { blobs, entries } = scene;
    const options = { keepGenerations: 10, frozen: { 'dists/stable': '20260101T003000Z' } };
    const frozen = await openTestRepository({ plugin, options, stores: { blobs, entries } });
    onTestFinished(() => frozen.close());
    expect((await frozen.ask('/dists/stable/InRelease')).body.toString()).toBe(first);
    expect(frozen.upstream.requests).toEqual([]);
  });

  it('refuses a package by name on every URL, and leaves its index as it is', async () => {
    const rule = { id: 'no-curl', action: 'deny', reason: 'no curl' } as const;
    const policy = new FixedPolicy([{ ...rule, matches: ({ coordinates }) => coordinates.name === 'debian-12/curl' }]);
    const archive = await DebArchive.create();
    archive.age = START - Date.now();
    const { path } = archive.add('libcurl4', '7.88-1+b1', { source: 'curl (7.88-1)' });
    await archive.publish();
    const { upstream, ask, close } = await openTestRepository({ plugin, policy });
    onTestFinished(close);
    for (const [name, body] of archive.files) upstream.serve(`${UPSTREAM_PATH}/${name}`, { body });
    await ask('/dists/stable/InRelease');
    const packages = await ask(`/${FOLDER}/Packages`);
    expect(packages.body.equals(archive.files.get(`${FOLDER}/Packages`)!)).toBe(true);
    for (const place of [`/${path}`, `/./${path}`, `/snapshots/20260101T003000Z/${path}`])
      expect((await ask(place)).status).toBe(403);
    expect(upstream.requests.filter((request) => request.path.endsWith('.deb'))).toEqual([]);
  });

  it('serves no package under its sum as if it were an index', async () => {
    const scene = await open();
    const { bytes } = scene.archive.packages[0]!;
    const place = `${FOLDER}/by-hash/SHA256/${sha256(bytes)}`;
    scene.upstream.serve(`${UPSTREAM_PATH}/${place}`, { body: bytes });
    for (const time of ['before', 'after']) {
      expect([time, await scene.text(`/${place}`)]).toEqual([time, '404']);
      await scene.text('/dists/stable/InRelease');
      await scene.text(`/${debOf(scene, 'hello')}`);
    }
    expect(await scene.text(`/snapshots/20260101T003000Z/${place}`)).toBe('404');
    expect(scene.asked()).not.toContain(place);
  });

  it('serves flat archives', async () => {
    const scene = await open({}, (archive) => {
      archive.suite = '';
      archive.add('app', '1', { path: './app.deb' });
    });
    expect(await scene.text('/./InRelease')).toContain('Suite: stable');
    expect(await scene.text('/Packages.gz')).not.toMatch(/^\d{3}$/);
    scene.upstream.serve(`${UPSTREAM_PATH}/app.deb`, { body: scene.archive.packages[0]!.bytes });
    const reply = await scene.ask('/app.deb');
    expect([reply.status, reply.body.length]).toEqual([200, scene.archive.packages[0]!.bytes.length]);
    expect((await scene.ask('/app.deb')).outcome).toBe('hit');
  });

  it('finds several servers under their hosts', async () => {
    const scene = await open({}, undefined, 'one.example.com:8080');
    const place = '/one.example.com:8080';
    expect(await scene.text(`${place}/dists/stable/InRelease`)).toContain('Suite: stable');
    expect(await scene.text(`${place}/${FOLDER}/Packages`)).toContain('Version: 1.0');
    const { body } = await scene.ask(`${place}/${debOf(scene, 'hello')}`);
    expect(body.equals(scene.archive.packages[0]!.bytes)).toBe(true);
    expect(await scene.text('/two.example.com/dists/stable/InRelease')).toBe('404');
    expect(scene.asked().every((path) => !path.includes('example'))).toBe(true);
  });

  it('keeps only suites that it may, and packages that an index lists', async () => {
    const scene = await open({ roots: { allow: ['dists/*'], most: 1 } });
    expect(await scene.text('/InRelease')).toBe('403');
    expect(await scene.text(`/${debOf(scene, 'hello')}`)).toBe('404');
    expect(await scene.text('/dists/other/InRelease')).toBe('404');
    await scene.text('/dists/stable/InRelease');
    expect(await scene.text('/dists/other/InRelease')).toBe('403');
    expect(await scene.text('/pool/main/h/hello/hello_3.0_all.deb')).toBe('404');
    const passing = await open({ unindexed: 'revalidate' });
    const { bytes } = passing.archive.packages[0]!;
    expect(await passing.text(`/${debOf(passing, 'hello')}`)).toBe(bytes.toString('latin1'));
  });

  it('fetches the list that a package is in, where no client has', async () => {
    const scene = await open();
    await scene.text('/dists/stable/InRelease');
    scene.asked();
    const { body } = await scene.ask(`/${debOf(scene, 'hello')}`);
    expect(body.equals(scene.archive.packages[0]!.bytes)).toBe(true);
    const smallest = ['.zst', '.gz', ''].map((ending) => scene.archive.files.get(`${FOLDER}/Packages${ending}`)!);
    const [list] = smallest.sort((one, other) => one.length - other.length);
    expect(scene.asked()).toEqual([`${FOLDER}/by-hash/SHA256/${sha256(list!)}`, debOf(scene, 'hello')]);
    // A list with another sum is none.
    const other = await open();
    await other.text('/dists/stable/InRelease');
    for (const path of other.archive.files.keys())
      if (path.includes('by-hash')) other.upstream.serve(`${UPSTREAM_PATH}/${path}`, { body: 'Package: other\n' });
    expect(await other.text(`/${debOf(other, 'hello')}`)).toBe('502');
  });

  it('takes no index or package with another sum', async () => {
    const scene = await open();
    await scene.text('/dists/stable/InRelease');
    scene.upstream.serve(
      `${UPSTREAM_PATH}/${FOLDER}/by-hash/SHA256/${sha256(scene.archive.files.get(`${FOLDER}/Packages`)!)}`,
      { body: 'Package: other\n' },
    );
    expect(await scene.text(`/${FOLDER}/Packages`)).toBe('502');
    await scene.text(`/${FOLDER}/Packages.gz`);
    scene.upstream.serve(`${UPSTREAM_PATH}/${debOf(scene, 'hello')}`, { body: 'no package' });
    expect(await scene.text(`/${debOf(scene, 'hello')}`)).toBe('502');
  });
});
