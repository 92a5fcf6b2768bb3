import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ArchiveKey } from '@entrepot/fixtures/archive-key';
import { FakeUpstream, openTestRepository } from '@entrepot/core/testing';
import { APK, PACMAN, RPM, type Archive, type Files } from './archives.js';

const MINUTE = 60_000;
const ROUND = '/mirror';

/** A repository of two mirrors, which takes nothing that is not signed. */
async function open(archive: Archive, signature: string) {
  const key = await ArchiveKey.create();
  const folder = await mkdtemp(join(tmpdir(), 'entrepot-mirrors-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const keyring = join(folder, 'archive.asc');
  await writeFile(keyring, key.keyring);
  const mirrors = [await FakeUpstream.start(), await FakeUpstream.start()] as const;
  for (const mirror of mirrors) onTestFinished(() => mirror.close());
  const repository = await openTestRepository({
    plugin: archive.plugin,
    options: { signatures: { mode: 'enforce', keyrings: [keyring] } },
    definition: { upstreams: mirrors.map(({ url }) => ({ url: url + ROUND })) },
  });
  onTestFinished(() => repository.close());
  const known = new Map<FakeUpstream, string[]>();
  return {
    ...repository,
    mirrors,
    /** The files of a version, with the signature of its pointer document. */
    async signed(version: string): Promise<Files> {
      const files = archive.files(version);
      return { ...files, [signature]: await key.armored(files[archive.pointer] as Buffer) };
    },
    publish(mirror: FakeUpstream, files: Files) {
      for (const path of known.get(mirror) ?? []) mirror.remove(path);
      known.set(
        mirror,
        Object.keys(files).map((path) => `${ROUND}/${path}`),
      );
      for (const [path, body] of Object.entries(files)) mirror.serve(`${ROUND}/${path}`, { body });
    },
    /** The bytes at a path, or the status where that is not 200. */
    async bytes(path: string): Promise<Buffer | number> {
      const { status, body } = await repository.ask(`/${path}`);
      return status === 200 ? body : status;
    },
  };
}

const SIGNED: readonly (readonly [string, Archive, string])[] = [
  ['rpm', RPM, `${RPM.pointer}.asc`],
  ['pacman', PACMAN, `${PACMAN.pointer}.sig`],
];

it.each(SIGNED)('takes the signature that fits of the mirrors of %s', async (_format, archive, signature) => {
  const scene = await open(archive, signature);
  const [first, second] = scene.mirrors;
  const [old, next] = [await scene.signed('1.0'), await scene.signed('2.0')];
  scene.publish(first, { ...next, [signature]: old[signature] as Buffer });
  scene.publish(second, next);
  for (const path of [archive.pointer, signature]) expect(await scene.bytes(path)).toEqual(next[path]);
});

it.each(SIGNED)('serves a signature with its document of %s, in either order', async (_format, archive, signature) => {
  const scene = await open(archive, signature);
  const [old, next] = [await scene.signed('1.0'), await scene.signed('2.0')];
  for (const mirror of scene.mirrors) scene.publish(mirror, old);
  expect(await scene.bytes(archive.pointer)).toEqual(old[archive.pointer]);
  for (const mirror of scene.mirrors) scene.publish(mirror, next);
  scene.clock.advance(MINUTE + 2000);
  // Who has the document of the last state gets its signature.
  expect(await scene.bytes(signature)).toEqual(old[signature]);
  scene.clock.advance(MINUTE);
  expect(await scene.bytes(archive.pointer)).toEqual(next[archive.pointer]);
  const last = await scene.signed('3.0');
  scene.clock.advance(45_000);
  const { headers } = await scene.ask({ method: 'HEAD', path: `/${archive.pointer}` });
  expect(headers['content-length']).toBe(String(next[archive.pointer]?.length));
  for (const mirror of scene.mirrors) scene.publish(mirror, last);
  // On a slow machine a client checks a signature for long.
  scene.clock.advance(30_000);
  // Who has asked about it, and has its signature, gets the document.
  expect(await scene.bytes(signature)).toEqual(next[signature]);
  expect(await scene.bytes(archive.pointer)).toEqual(next[archive.pointer]);
  scene.clock.advance(2 * MINUTE);
  expect(await scene.bytes(archive.pointer)).toEqual(last[archive.pointer]);
  expect(await scene.bytes(signature)).toEqual(last[signature]);
});

it.each(SIGNED)(
  'has the signature of %s that it was verified with, once mirrors have another',
  async (_format, archive, signature) => {
    const scene = await open(archive, signature);
    const [old, next] = [await scene.signed('1.0'), await scene.signed('2.0')];
    let asked = 0;
    for (const mirror of scene.mirrors) {
      scene.publish(mirror, old);
      mirror.handle(`${ROUND}/${signature}`, (_request, response) => {
        asked += 1;
        response.end((asked === 1 ? old : next)[signature]);
      });
    }
    for (const path of [archive.pointer, signature]) expect(await scene.bytes(path)).toEqual(old[path]);
  },
);

it('takes no page for the key of a repository of rpm', async () => {
  const signature = `${RPM.pointer}.asc`;
  const scene = await open(RPM, signature);
  const [first, second] = scene.mirrors;
  const files = await scene.signed('1.0');
  const key = { [`${RPM.pointer}.key`]: Buffer.from('-----BEGIN PGP PUBLIC KEY BLOCK-----\n') };
  const page = Buffer.from('<html>Log in</html>');
  scene.publish(first, Object.fromEntries([...Object.keys(files), ...Object.keys(key)].map((path) => [path, page])));
  scene.publish(second, { ...files, ...key });
  expect(await scene.bytes(RPM.pointer)).toEqual(files[RPM.pointer]);
  expect(await scene.bytes(`${RPM.pointer}.key`)).toEqual(key[`${RPM.pointer}.key`]);
});

it('passes over a mirror of rpm that has a new index without its list', async () => {
  const scene = await open(RPM, `${RPM.pointer}.asc`);
  const [first, second] = scene.mirrors;
  const [old, next] = [await scene.signed('1.0'), await scene.signed('2.0')];
  scene.publish(first, Object.fromEntries(Object.entries(next).filter(([path]) => !path.includes('-primary'))));
  scene.publish(second, old);
  for (const [path, body] of Object.entries(old)) expect(await scene.bytes(path)).toEqual(body);
});

it('has the lists of rpm that clients used before it serves a new index', async () => {
  const scene = await open(RPM, `${RPM.pointer}.asc`);
  const [old, next] = [await scene.signed('1.0'), await scene.signed('2.0')];
  for (const mirror of scene.mirrors) scene.publish(mirror, old);
  for (const path of Object.keys(old)) await scene.bytes(path);
  for (const mirror of scene.mirrors) scene.publish(mirror, next);
  scene.clock.advance(10 * MINUTE);
  expect(await scene.bytes(RPM.pointer)).toEqual(next[RPM.pointer]);
  for (const mirror of scene.mirrors) mirror.goOffline();
  for (const [path, body] of Object.entries(next))
    if (!path.endsWith('.rpm')) expect(await scene.bytes(path)).toEqual(body);
});

const UNDATED: readonly (readonly [string, Archive])[] = [
  ['pacman', PACMAN],
  ['apk', APK],
];

describe.each(UNDATED)('a root of %s, whose index has no date', (_format, archive) => {
  const HOUR = 3_600_000;

  /** Two mirrors, and what they have: a version, or the answer that they give in its place. */
  async function openUndated(options: object = {}) {
    const mirrors = [await FakeUpstream.start(), await FakeUpstream.start()] as const;
    for (const mirror of mirrors) onTestFinished(() => mirror.close());
    const repository = await openTestRepository({
      plugin: archive.plugin,
      options,
      definition: { upstreams: mirrors.map(({ url }) => ({ url: url + ROUND })) },
    });
    onTestFinished(() => repository.close());
    const start = repository.clock.now();
    return {
      ...repository,
      mirrors,
      /** @param age hours before the start */
      publish(mirror: FakeUpstream, version: string, age?: number) {
        const lastModified = age === undefined ? {} : { 'last-modified': new Date(start - age * HOUR).toUTCString() };
        for (const [path, body] of Object.entries(archive.files(version)))
          mirror.serve(`${ROUND}/${path}`, { body, headers: lastModified });
      },
      /** The version that is served, after the mirrors have been asked. */
      async version(): Promise<string | undefined> {
        repository.clock.advance(10 * MINUTE);
        const { body } = await repository.ask(`/${archive.pointer}`);
        return ['1.0', '2.0', '3.0'].find((one) => archive.files(one)[archive.pointer]?.equals(body));
      },
      state: async () => (await repository.engine.roots?.list())?.[0]?.state,
    };
  }

  it('is not taken from a mirror that is behind, by what that says of its age', async () => {
    const scene = await openUndated();
    const [first, second] = scene.mirrors;
    scene.publish(first, '2.0', 1);
    scene.publish(second, '1.0', 2);
    expect(await scene.version()).toBe('2.0');
    first.goOffline();
    expect([await scene.version(), await scene.state()]).toEqual(['2.0', 'suspect']);
    scene.publish(second, '3.0', 0);
    expect([await scene.version(), await scene.state()]).toEqual(['3.0', 'active']);
  });

  it('does not become what it was before, whatever a mirror says of its age', async () => {
    for (const age of [undefined, -1]) {
      const scene = await openUndated();
      const [first, second] = scene.mirrors;
      scene.publish(first, '1.0');
      expect(await scene.version()).toBe('1.0');
      scene.publish(first, '2.0');
      scene.publish(second, '1.0', age);
      expect(await scene.version()).toBe('2.0');
      first.goOffline();
      expect([await scene.version(), await scene.state()]).toEqual(['2.0', 'suspect']);
    }
  });

  it('is as it was where another mirror says that the same bytes are older', async () => {
    const scene = await openUndated();
    const [first, second] = scene.mirrors;
    scene.publish(first, '1.0', 1);
    scene.publish(second, '1.0', 5);
    expect(await scene.version()).toBe('1.0');
    first.goOffline();
    expect([await scene.version(), await scene.state()]).toEqual(['1.0', 'active']);
  });

  it('is taken from a mirror whose clock is ahead, and from others then', async () => {
    const scene = await openUndated();
    const [first, second] = scene.mirrors;
    scene.publish(first, '1.0', -1000);
    expect(await scene.version()).toBe('1.0');
    first.goOffline();
    scene.publish(second, '2.0', 1);
    expect(await scene.version()).toBe('2.0');
  });

  it('goes back where the configuration allows that', async () => {
    const scene = await openUndated({ allowRollback: true });
    const [first, second] = scene.mirrors;
    scene.publish(first, '2.0', 1);
    scene.publish(second, '1.0', 2);
    expect(await scene.version()).toBe('2.0');
    first.goOffline();
    expect([await scene.version(), await scene.state()]).toEqual(['1.0', 'active']);
  });
});
