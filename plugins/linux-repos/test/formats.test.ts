import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { FixedPolicy, openTestRepository, type TestRepository } from '@entrepot/core/testing';
import { apk, indexPart, KEY_NAME, KEYS, signaturePart } from './apk-fixtures.js';
import { APK, PACMAN, RPM, sum, type Archive, type Files } from './archives.js';

const UPSTREAM_PATH = '/upstream/base';
const MINUTE = 60_000;

interface Scene extends TestRepository {
  /** Has the mirror what an archive has. */
  publish(files: Files): void;
  /** The bytes at a path, or the status where that is not 200. */
  bytes(path: string): Promise<Buffer | number>;
  /** Paths that the mirror was asked for since the last time. */
  asked(): string[];
}

async function open({ plugin }: Archive, options: object = {}, policy?: FixedPolicy): Promise<Scene> {
  const repository = await openTestRepository({ plugin, options, ...(policy && { policy }) });
  onTestFinished(() => repository.close());
  let known: string[] = [];
  return {
    ...repository,
    publish(files) {
      for (const path of known) repository.upstream.remove(path);
      known = Object.keys(files).map((path) => `${UPSTREAM_PATH}/${path}`);
      for (const [path, body] of Object.entries(files))
        repository.upstream.serve(`${UPSTREAM_PATH}/${path}`, { body, etag: `"${sum('sha256', body)}"` });
    },
    async bytes(path) {
      const { status, body } = await repository.ask(`/${path}`);
      return status === 200 ? body : status;
    },
    asked: () => repository.upstream.requests.splice(0).map(({ path }) => path.slice(UPSTREAM_PATH.length + 1)),
  };
}

const ARCHIVES: readonly (readonly [string, Archive])[] = [
  ['rpm', RPM],
  ['pacman', PACMAN],
  ['apk', APK],
];

describe.each(ARCHIVES)('a proxy of an archive of %s', (_format, archive) => {
  it('serves what its mirror has, and without it what it has served', async () => {
    const scene = await open(archive);
    const files = archive.files('1.0');
    scene.publish(files);
    for (const [path, body] of Object.entries(files)) expect(await scene.bytes(path)).toEqual(body);
    scene.upstream.goOffline();
    scene.clock.advance(10 * MINUTE);
    for (const [path, body] of Object.entries(files)) expect(await scene.bytes(path)).toEqual(body);
  });

  it('changes as a whole, and keeps what earlier clients have begun to read', async () => {
    const scene = await open(archive);
    const [first, second] = [archive.files('1.0'), archive.files('2.0')];
    scene.publish(first);
    for (const path of Object.keys(first)) await scene.bytes(path);
    scene.publish(second);
    scene.clock.advance(10 * MINUTE);
    expect(await scene.bytes(archive.pointer)).toEqual(second[archive.pointer]);
    for (const files of [second, first])
      for (const [path, body] of Object.entries(files))
        if (path !== archive.pointer) expect(await scene.bytes(path)).toEqual(body);
  });

  it('has a state, is refreshed, holds its documents, and is found by its path', async () => {
    const scene = await open(archive);
    const files = archive.files('1.0');
    scene.publish(files);
    for (const path of Object.keys(files)) await scene.bytes(path);
    const { roots } = scene.engine;
    const [root, ...others] = (await roots?.list()) ?? [];
    expect([root?.state, others]).toEqual(['active', []]);
    const interval = ((root?.dueAt ?? 0) - scene.clock.now()) / MINUTE;
    const least = archive === PACMAN ? 2 : 60;
    expect(interval >= least && interval <= 1.1 * least).toBe(true);
    const held = (await roots?.heldKeys()) ?? new Set();
    const documents = Object.entries(files).filter(([path]) => path !== archive.packagePath('1.0'));
    for (const [path, body] of documents)
      expect(held).toContain(`${path === archive.pointer ? 'pointer' : 'index'}/${sum('sha256', body)}`);
    expect(held.size).toBe(documents.length + 1);
    const keys = await scene.engine.keysAt({ rawPath: `/${archive.pointer}`, rawQuery: '' });
    expect(keys?.keys).toContain(`pointer/${sum('sha256', files[archive.pointer] as Buffer)}`);
    await scene.upstream.goOffline();
    expect((await roots?.refresh(root?.name ?? ''))?.state).toBe('suspect');
    const { body, headers } = await scene.ask(`/${archive.pointer}`);
    expect([body.equals(files[archive.pointer] as Buffer), headers['x-cache-state']]).toEqual([true, 'suspect']);
  });

  it('takes no package with other bytes than its index says, and asks the mirror anew', async () => {
    const scene = await open(archive);
    const files = archive.files('1.0');
    const path = archive.packagePath('1.0');
    const right = files[path] as Buffer;
    const wrong = Buffer.from(right);
    wrong[wrong.length - 12]! ^= 1;
    scene.publish({ ...files, [path]: wrong });
    await scene.bytes(archive.pointer);
    expect(await scene.bytes(path)).toBe(502);
    scene.clock.advance(MINUTE);
    scene.publish(files);
    expect(await scene.bytes(path)).toEqual(right);
  });

  it('finds other bytes under a name that is used again', async () => {
    const scene = await open(archive);
    const path = archive.packagePath('1.0');
    const other = apk({ data: apk().data, info: `pkgname = hello\ndatahash = ${sum('sha256', apk().data)}\n#again\n` });
    const bytes = Buffer.concat([other.control, other.data]);
    const files = archive.files('1.0');
    scene.publish(files);
    await Promise.all(Object.keys(files).map((one) => scene.bytes(one)));
    let again = archive.files('1.0', bytes);
    if (archive === APK) {
      const index = indexPart(`C:Q1${Buffer.from(other.identity.hex, 'hex').toString('base64')}\nP:hello\nV:1.0\n\n`);
      again = { [APK.pointer]: Buffer.concat([signaturePart(index), index]), [path]: bytes };
    }
    scene.publish(again);
    scene.clock.advance(10 * MINUTE);
    for (const [one, body] of Object.entries(again)) expect(await scene.bytes(one)).toEqual(body);
  });

  it('keeps the last state while its mirror has a page, or half of an index', async () => {
    const scene = await open(archive);
    const files = archive.files('1.0');
    const before = files[archive.pointer] as Buffer;
    scene.publish(files);
    for (const path of Object.keys(files)) await scene.bytes(path);
    for (const body of [Buffer.from('<html>log in</html>'), before.subarray(0, before.length - 20), Buffer.alloc(0)]) {
      scene.publish({ ...files, [archive.pointer]: body });
      scene.clock.advance(10 * MINUTE);
      expect(await scene.bytes(archive.pointer)).toEqual(before);
    }
    expect(await scene.bytes(archive.packagePath('1.0'))).toEqual(files[archive.packagePath('1.0')]);
  });

  it('refuses packages that no index lists, and paths that lead nowhere', async () => {
    const scene = await open(archive);
    const files = archive.files('1.0');
    scene.publish({ ...files, [archive.packagePath('3.0')]: Buffer.from('unlisted') });
    await scene.bytes(archive.pointer);
    expect(await scene.bytes(archive.packagePath('3.0'))).toBe(404);
    expect((await scene.ask('/a/..%2f..%2fetc/passwd')).status).toBe(400);
    expect((await scene.ask({ method: 'PUT', path: `/${archive.pointer}` })).status).toBe(405);
  });

  it('refuses a package by name on every URL', async () => {
    const policy = new FixedPolicy();
    const scene = await open(archive, { keepGenerations: 10 }, policy);
    const files = archive.files('1.0');
    scene.publish(files);
    const path = archive.packagePath('1.0');
    for (const one of Object.keys(files)) await scene.bytes(one);
    const time = new Date(scene.clock.now() + 1000).toISOString().replaceAll(/[-:]|\.\d+/g, '');
    policy.setRules([
      {
        id: 'no-hello',
        action: 'deny',
        reason: 'no hello',
        matches: ({ coordinates }) => coordinates.name === archive.name,
      },
    ]);
    for (const one of [path, `snapshots/${time}/${path}`]) expect(await scene.bytes(one)).toBe(403);
    expect(await scene.bytes(archive.pointer)).toEqual(files[archive.pointer]);
  });
});

describe('a proxy of pacman', () => {
  it('has signatures of packages from the database, and packed names of databases', async () => {
    const scene = await open(PACMAN);
    scene.publish(PACMAN.files('1.0'));
    const database = await scene.bytes(PACMAN.pointer);
    scene.asked();
    expect(await scene.bytes(`${PACMAN.pointer}.tar.zst`)).toEqual(database);
    expect(await scene.bytes(`${PACMAN.packagePath('1.0')}.sig`)).toEqual(Buffer.from('signature of 1.0'));
    expect(await scene.bytes(`${PACMAN.pointer}.sig`)).toBe(404);
    expect(scene.asked()).toEqual([]);
  });

  it('answers 304 to who has the database', async () => {
    const scene = await open(PACMAN);
    scene.publish(PACMAN.files('1.0'));
    const { headers } = await scene.ask(`/${PACMAN.pointer}`);
    const since = { 'if-modified-since': headers['last-modified'] as string };
    expect((await scene.ask({ path: `/${PACMAN.pointer}`, headers: since })).status).toBe(304);
  });
});

describe('a proxy of apk', () => {
  it('takes indexes that are signed with a known key alone, where it is told to', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'entrepot-apk-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const key = join(folder, KEY_NAME);
    await writeFile(key, KEYS.publicKey.export({ type: 'spki', format: 'pem' }));
    const scene = await open(APK, { signatures: { mode: 'enforce', keyrings: [key] } });
    const files = APK.files('1.0');
    scene.publish(files);
    expect(await scene.bytes(APK.pointer)).toEqual(files[APK.pointer]);
    const other = APK.files('2.0');
    const unsigned = (other[APK.pointer] as Buffer).subarray((files[APK.pointer] as Buffer).indexOf('x', 1));
    scene.publish({ ...other, [APK.pointer]: unsigned });
    scene.clock.advance(10 * MINUTE);
    expect(await scene.bytes(APK.pointer)).toEqual(files[APK.pointer]);
  });
});

describe('a proxy of rpm', () => {
  it('gives several ranges of an index', async () => {
    const scene = await open(RPM);
    const files = RPM.files('1.0');
    scene.publish(files);
    const path = Object.keys(files).find((one) => one.endsWith('primary.xml.gz')) as string;
    await scene.bytes(RPM.pointer);
    const { status, headers } = await scene.ask({ path: `/${path}`, headers: { range: 'bytes=10-19,0-4' } });
    expect([status, headers['content-type']?.split(';')[0]]).toEqual([206, 'multipart/byteranges']);
  });
});
