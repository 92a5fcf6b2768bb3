import { gunzipSync } from 'node:zlib';
import type { MemoryBlobStore } from '@entrepot/core/testing';
import { describe, expect, it } from 'vitest';
import { readPackageRows } from '../src/deb/package-rows.js';
import { parseRelease } from '../src/deb/release.js';
import plugin from '../src/deb/index.js';
import { archiveKey, deb, hosted, listed, put, sha256, textOf } from './hosted-fixtures.js';

const LIST = 'main/binary-amd64/Packages';

describe('a hosted suite', () => {
  it('lists packages as their control files say, with what an index adds', async () => {
    const repository = await hosted();
    const bytes = deb('hello', '1:1.0', 'amd64', 'data', 'greetings (0.9)');
    // Tools write epochs in their ways.
    expect((await put(repository, bytes, 'hello_1%253a1.0_amd64.deb')).status).toBe(201);
    expect(await textOf(repository, `/dists/stable/${LIST}`)).toBe(
      [
        'Package: hello\nSource: greetings (0.9)\nVersion: 1:1.0\nArchitecture: amd64\nDescription: hello of a test',
        'Maintainer: Archive <archive@example.com>\nFilename: pool/stable/main/hello_1.0_amd64.deb',
        `Size: ${bytes.length}\nSHA256: ${sha256(bytes)}\n\n`,
      ].join('\n'),
    );
    expect(await repository.entries.find('test', 'pool/stable/main/hello_1.0_amd64.deb')).toMatchObject({
      coordinates: { ecosystem: 'deb', name: 'greetings', version: '0.9' },
    });
  });

  it('has the packages for all in the list of each architecture, of new ones as well', async () => {
    const repository = await hosted();
    await put(repository, deb('doc', '1.0', 'all'), 'doc_1.0_all.deb');
    expect(await textOf(repository, '/dists/stable/Release')).toMatch(/\nArchitectures: all\n(?!.*No-Support)/s);
    await put(repository, deb('hello', '1.0', 'arm64'), 'hello_1.0_arm64.deb');
    await put(repository, deb('doc', '2.0', 'all'), 'doc_2.0_all.deb');
    const names = async (architecture: string): Promise<string[]> => {
      const text = await textOf(repository, `/dists/stable/main/binary-${architecture}/Packages`);
      return Array.from(text.matchAll(/^Filename: .*\/(.*)$/gm), ([, name = '']) => name);
    };
    expect(await names('all')).toEqual(['doc_1.0_all.deb', 'doc_2.0_all.deb']);
    expect(await names('arm64')).toEqual(['doc_1.0_all.deb', 'doc_2.0_all.deb', 'hello_1.0_arm64.deb']);
    await repository.ask({ method: 'DELETE', path: '/pool/stable/main/doc_1.0_all.deb' });
    expect(await names('all')).toEqual(['doc_2.0_all.deb']);
    expect(await names('arm64')).toEqual(['doc_2.0_all.deb', 'hello_1.0_arm64.deb']);
  });

  it('finds index files of earlier states, as many as are kept, and those of a moment ago', async () => {
    const repository = await hosted({ keepGenerations: 2, leaseFor: '1m' });
    const sums: string[] = [];
    const isThere = async (): Promise<boolean[]> => {
      const path = (sum: string) => `/dists/stable/main/binary-amd64/by-hash/SHA256/${sum}`;
      return await Promise.all(sums.map(async (sum) => (await repository.ask(path(sum))).status === 200));
    };
    const publish = async (version: string): Promise<void> => {
      await put(repository, deb('hello', version), `hello_${version}_amd64.deb`);
      sums.push(listed(await textOf(repository, '/dists/stable/Release')).get(`${LIST}.gz`)?.sum ?? '');
    };
    for (const version of ['1', '2', '3', '4']) await publish(version);
    expect(await isThere()).toEqual([true, true, true, true]);
    repository.clock.advance(61_000);
    await publish('5');
    expect(await isThere()).toEqual([false, false, false, true, true]);
    expect(gunzipSync((await repository.ask(`/dists/stable/${LIST}.gz`)).body).toString()).toContain('Version: 5\n');
  });

  it('does not go back in time where the clock of a replica is behind', async () => {
    const repository = await hosted();
    const behind = await hosted({}, { stores: repository });
    repository.clock.advance(5000);
    await put(repository, deb('hello', '1'), 'hello_1_amd64.deb');
    const dateOf = async () => /^Date: (.*)$/m.exec(await textOf(repository, '/dists/stable/Release'))?.[1];
    const first = await dateOf();
    await put(behind, deb('hello', '2'), 'hello_2_amd64.deb');
    repository.clock.advance(1000);
    expect(await textOf(repository, `/dists/stable/${LIST}`)).toContain('Version: 2\n');
    expect(await dateOf()).toBe(first);
  });

  it('has no date that two states of one second could share', async () => {
    const repository = await hosted();
    await put(repository, deb('hello', '1'), 'hello_1_amd64.deb');
    const { headers } = await repository.ask('/dists/stable/Release');
    expect(headers['last-modified']).toBeUndefined();
    expect(headers['etag']).toBeDefined();
  });

  it('loses nothing of twenty publications at once on two replicas', async () => {
    const one = await hosted();
    const other = await hosted({}, { stores: one });
    const replies = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const body = deb('hello', `1.${index}`);
        return await put(index % 2 === 0 ? one : other, body, `hello_1.${index}_amd64.deb`);
      }),
    );
    expect(replies.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 201));
    one.clock.advance(1000);
    const text = await textOf(one, `/dists/stable/${LIST}`);
    expect(text.match(/^Version: /gm)?.length).toBe(20);
    expect(listed(await textOf(one, '/dists/stable/Release')).get(LIST)?.sum).toBe(sha256(text));
  });

  it('reads one list, and no package, for the next publication', async () => {
    const repository = await hosted();
    for (let index = 0; index < 30; index += 1)
      await put(repository, deb('hello', `1.${index}`), `hello_1.${index}_amd64.deb`);
    const opened: string[] = [];
    const { blobs } = repository;
    const open = blobs.open.bind(blobs);
    blobs.open = async (...given: Parameters<MemoryBlobStore['open']>) => {
      opened.push(given[0]);
      return await open(...given);
    };
    const current = listed(await textOf(repository, '/dists/stable/Release')).get(LIST)?.sum;
    const state = await repository.entries.find('test', 'suite/stable//');
    opened.length = 0;
    await put(repository, deb('hello', '2.0'), 'hello_2.0_amd64.deb');
    expect(opened.sort()).toEqual([`sha256:${current}`, state?.digest].sort());
  });
});

it('is an archive as the proxy reads them', async () => {
  const { privateKey } = await archiveKey();
  const repository = await hosted({ signing: { key: privateKey } });
  const bytes = deb('hello', '1.0', 'amd64', 'data', 'greetings (0.9)');
  await put(repository, bytes, 'hello_1.0_amd64.deb');
  const release = parseRelease(await textOf(repository, '/dists/stable/InRelease'), 'InRelease');
  expect(release).toMatchObject({ byHash: true, validUntil: undefined });
  const { body } = await repository.ask(`/dists/stable/${LIST}.gz`);
  expect(release.files.get(`${LIST}.gz`)).toEqual({
    integrity: { algorithm: 'sha256', hex: sha256(body) },
    size: body.length,
  });
  const rows = await Array.fromAsync(
    readPackageRows({
      stream: async function* stream() {
        yield body;
      },
    }),
  );
  expect(rows).toEqual([
    ['pool/stable/main/hello_1.0_amd64.deb', `sha256:${sha256(bytes)} ${bytes.length} hello 1.0 amd64 greetings 0.9`],
  ]);
});

it('is whole again with the next publication where bytes of a list are lost', async () => {
  const repository = await hosted();
  for (const name of ['a', 'b']) await put(repository, deb(`x${name}`, '1'), `x${name}_1_amd64.deb`);
  await put(repository, deb('doc', '1', 'all'), 'doc_1_all.deb');
  // Another suite, below a folder of the first one.
  await put(repository, deb('other', '1'), 'other_1_amd64.deb', '/pool/stable/main/extra');
  const { sum = '' } = listed(await textOf(repository, '/dists/stable/Release')).get(LIST) ?? {};
  await repository.blobs.delete(`sha256:${sum}`);
  await repository.blobs.delete(`sha256:${sha256(deb('xb', '1'))}`);
  const names = async () => (await textOf(repository, `/dists/stable/${LIST}`)).match(/^Package: .*$/gm);
  expect((await repository.ask({ method: 'DELETE', path: '/pool/stable/main/xb_1_amd64.deb' })).status).toBe(204);
  expect(await names()).toEqual(['Package: doc', 'Package: xa']);
  await put(repository, deb('xc', '1'), 'xc_1_amd64.deb');
  expect(await names()).toEqual(['Package: doc', 'Package: xa', 'Package: xc']);
});

describe('a package', () => {
  it('is taken again as it is, and refused with other bytes', async () => {
    const repository = await hosted();
    const file = 'hello_1.0_amd64.deb';
    const taken = await put(repository, deb('hello', '1.0'), file);
    expect([taken.status, taken.headers['location']]).toEqual([
      201,
      expect.stringContaining(`/pool/stable/main/${file}`),
    ]);
    const before = await textOf(repository, '/dists/stable/Release');
    repository.clock.advance(5000);
    expect((await put(repository, deb('hello', '1.0'), file)).status).toBe(200);
    const refused = await put(repository, deb('hello', '1.0', 'amd64', 'other'), file);
    expect([refused.status, refused.body.toString()]).toEqual([409, expect.stringContaining('a new version')]);
    // In a pool, an epoch is no part of a name.
    expect((await put(repository, deb('hello', '1:1.0'), file)).status).toBe(409);
    expect(await textOf(repository, '/dists/stable/Release')).toBe(before);
  });

  it('has the name that its control file says', async () => {
    const repository = await hosted();
    const refused = await put(repository, deb('hello', '1.0'), 'hello_2.0_amd64.deb');
    expect([refused.status, refused.body.toString()]).toEqual([400, expect.stringContaining('hello_1.0_amd64.deb')]);
    expect((await put(repository, Buffer.from('<html>'), 'hello_2.0_amd64.deb')).status).toBe(400);
    for (const path of ['/pool/hello_1.0_amd64.deb', '/pool/stable/main/hello.deb', '/pool/stable/main/']) {
      const { status, body } = await repository.ask({ method: 'PUT', path, body: deb('hello', '1.0') });
      expect([status, body.toString()]).toEqual([400, expect.stringContaining('pool/<suite>/<component>/')]);
    }
    expect((await repository.ask('/dists/stable/Release')).status).toBe(404);
  });
});

it('serves no InRelease and no key without one, and a suite is what its paths can say', async () => {
  const repository = await hosted();
  await put(repository, deb('hello', '1.0'), 'hello_1.0_amd64.deb');
  const absent = [
    '/archive-key.asc',
    '/dists/stable/InRelease',
    '/dists/stable/Release.gpg',
    '/dists/other/Release',
    '/dists/Release',
    '/dists/a/b/c/d/e/Release',
    '/dists/stable/state',
    '/dists/stable/main/binary-amd64/Packages.xz',
    '/dists/stable/main/binary-amd64/by-hash/MD5Sum/d41d8cd98f00b204e9800998ecf8427e',
    '/dists/stable/main/binary-any/Packages',
    '/dists/stable/main/source/Sources',
    '/pool/stable/main/',
    '/pool/stable/main/hello.dsc',
    '/suite/stable//',
    '/',
  ];
  for (const path of absent) expect([path, (await repository.ask(path)).status]).toEqual([path, 404]);
  for (const method of ['PUT', 'DELETE'])
    expect((await repository.ask({ method, path: '/dists/stable/Release' })).status).toBe(405);
});

it('lets rules remove versions of a package in its place, the oldest as dpkg orders them', async () => {
  const repository = await hosted();
  const files = ['hello_1.9_amd64', 'hello_1.10_amd64', 'hello_1.10~rc1_amd64', 'hello_1.9_arm64', 'hello-doc_1_all'];
  for (const file of files) {
    const [name = '', version = '', architecture] = file.split('_');
    await put(repository, deb(name, version, architecture), `${file}.deb`);
  }
  const { cleanup } = repository.engine;
  const groups = await Array.fromAsync(cleanup!.stored());
  expect(groups.map((group) => [group[0]?.name, group.map(({ version }) => version)])).toEqual([
    ['stable/main/hello-doc/all', ['1']],
    ['stable/main/hello/amd64', ['1.10', '1.10~rc1', '1.9']],
    ['stable/main/hello/arm64', ['1.9']],
  ]);
  const order = plugin.hosted!.cleanup!.versions!.order!;
  const oldest = groups[1]!.toSorted((one, other) => {
    const [first, second] = [one, other].map(({ version = '' }) => order.parse(version));
    return order.compare(first, second);
  });
  const { retired } = await cleanup!.retire(oldest.slice(0, 2).map((version) => ({ version })));
  expect(retired.map(({ version }) => version)).toEqual(['1.9', '1.10~rc1']);
  const left = (await textOf(repository, `/dists/stable/${LIST}`)).match(/^Filename: .*$/gm);
  expect(left).toEqual([
    'Filename: pool/stable/main/hello-doc_1_all.deb',
    'Filename: pool/stable/main/hello_1.10_amd64.deb',
  ]);
});

it('has lines for apt and for curl that lead to it', async () => {
  const { privateKey } = await archiveKey();
  const repository = await hosted({ signing: { key: privateKey } });
  const baseUrl = 'https://packages.example.com/debs';
  const facts = { name: 'debs', kind: 'hosted', upstreams: [] } as const;
  const steps = (plugin.clients?.setup?.({ baseUrl, repository: facts }) ?? []).flatMap((one) => one.steps);
  const lines = steps.map(({ text }) => text).join('\n');
  const [, keyPath = ''] = /--output \/etc\/apt\/keyrings\/debs\.asc https:\S+?\/debs(\/\S+)/.exec(lines) ?? [];
  expect(await textOf(repository, keyPath)).toMatch(/^-----BEGIN PGP PUBLIC KEY BLOCK-----/);
  expect(lines).toContain('Signed-By: /etc/apt/keyrings/debs.asc');
  const [, folder = ''] = /--upload-file \S+ https:\S+?\/debs(\/\S+)/.exec(lines) ?? [];
  const { status } = await repository.ask({
    method: 'PUT',
    path: `${folder}hello_1.0_amd64.deb`,
    body: deb('hello', '1.0'),
  });
  expect(status).toBe(201);
});
