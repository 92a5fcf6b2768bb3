import type { MemoryBlobStore } from '@entrepot/core/testing';
import { createMessage, readKey, readSignature, verify } from 'openpgp';
import { describe, expect, it } from 'vitest';
import plugin from '../src/rpm/index.js';
import { readPrimaryRows } from '../src/rpm/primary-rows.js';
import { readListed } from '../src/shared/listed.js';
import { archiveKey, sha256, textOf } from './hosted-fixtures.js';
import { contentOf } from './rpm-fixtures.js';
import { rpm } from './rpm-file-fixtures.js';
import { fileOf, hostedRpm, listedFiles, listsOf, putRpm, repomdOf } from './rpm-hosted-fixtures.js';

describe('a hosted tree', () => {
  it('lists packages as their headers say, so that the proxy reads the same', async () => {
    const repository = await hostedRpm();
    const parts = { name: 'hello-libs', epoch: 2, source: 'greetings-0.9-3.src.rpm' };
    expect((await putRpm(repository, parts)).status).toBe(201);
    expect(await repository.entries.find('test', 'package/el9//hello-libs/1.0-1.x86_64.rpm')).toMatchObject({
      coordinates: { ecosystem: 'rpm', name: 'greetings', version: '2:0.9-3' },
      attributes: { version: '2:1.0-1' },
    });
    const { primary } = await listsOf(repository);
    const [[path, value] = [], ...more] = await Array.fromAsync(readPrimaryRows(contentOf(primary)));
    expect([path, more]).toEqual([`Packages/${fileOf(parts)}`, []]);
    expect(readListed(Buffer.from(value as string))).toMatchObject({
      checksum: { algorithm: 'sha256', hex: sha256(rpm(parts)) },
      size: rpm(parts).length,
      version: '2:1.0-1',
      source: 'greetings',
      sourceVersion: '2:0.9-3',
    });
    expect((await repository.ask(`/el9/${path}`)).body).toEqual(rpm(parts));
  });

  it('is the sorted list of its packages after any puts and removals, the same as of all at once', async () => {
    const [repository, other] = [await hostedRpm(), await hostedRpm()];
    const all = ['b', 'a', 'a-b', 'c', 'a-1'].flatMap((name) => ['1.0', '1.1'].map((version) => ({ name, version })));
    for (const parts of all) await putRpm(repository, parts);
    for (const parts of all.filter((_, index) => index % 3 === 0))
      await repository.ask({ method: 'DELETE', path: `/el9/Packages/${fileOf(parts)}` });
    const left = all.filter((_, index) => index % 3 > 0);
    for (const parts of left.toReversed()) await putRpm(other, parts);
    expect(await listedFiles(repository)).toEqual(left.map(fileOf).sort());
    const times = / file="\d+"/g;
    const [one, same] = [await listsOf(repository), await listsOf(other)];
    expect(one.primary.replaceAll(times, '')).toBe(same.primary.replaceAll(times, ''));
    expect([one.filelists, one.other]).toEqual([same.filelists, same.other]);
    for (const parts of left) await repository.ask({ method: 'DELETE', path: `/el9/Packages/${fileOf(parts)}` });
    expect(await listedFiles(repository)).toEqual([]);
  });

  it('is apart from other trees, and from the repository itself', async () => {
    const repository = await hostedRpm();
    const trees = ['', '/el9', '/el9/x86_64', '/a/b/c/d'];
    for (const [index, tree] of trees.entries()) await putRpm(repository, { version: `${index}` }, tree);
    for (const [index, tree] of trees.entries())
      expect(await listedFiles(repository, tree)).toEqual([fileOf({ version: `${index}` })]);
  });

  it('finds lists of earlier states, as many as are kept, and those of a moment ago', async () => {
    const repository = await hostedRpm({ keepGenerations: 2, leaseFor: '1m' });
    const paths: string[] = [];
    const isThere = async (): Promise<boolean[]> =>
      await Promise.all(paths.map(async (path) => (await repository.ask(`/el9/${path}`)).status === 200));
    const publish = async (version: string): Promise<void> => {
      await putRpm(repository, { version });
      paths.push((await repomdOf(repository)).items[0]?.path ?? '');
    };
    for (const version of ['1', '2', '3', '4']) await publish(version);
    expect(await isThere()).toEqual([true, true, true, true]);
    repository.clock.advance(61_000);
    await publish('5');
    expect(await isThere()).toEqual([false, false, false, true, true]);
  });

  it('does not go back in time where the clock of a replica is behind', async () => {
    const repository = await hostedRpm();
    const behind = await hostedRpm({}, { stores: repository });
    repository.clock.advance(5000);
    await putRpm(repository, { version: '1' });
    const { revision } = await repomdOf(repository);
    await putRpm(behind, { version: '2' });
    repository.clock.advance(1000);
    expect(await listedFiles(repository)).toHaveLength(2);
    expect((await repomdOf(repository)).revision).toBe(revision);
  });

  it('loses nothing of twenty publications at once on two replicas', async () => {
    const one = await hostedRpm();
    const other = await hostedRpm({}, { stores: one });
    const replies = await Promise.all(
      Array.from(
        { length: 20 },
        async (_, index) => await putRpm(index % 2 === 0 ? one : other, { version: `1.${index}` }),
      ),
    );
    expect(replies.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 201));
    one.clock.advance(1000);
    expect(await listedFiles(one)).toHaveLength(20);
  });

  it('reads its lists, and no package, for the next publication', async () => {
    const repository = await hostedRpm();
    for (let index = 0; index < 30; index += 1) await putRpm(repository, { version: `1.${index}` });
    const opened: string[] = [];
    const { blobs, entries } = repository;
    const open = blobs.open.bind(blobs);
    blobs.open = async (...given: Parameters<MemoryBlobStore['open']>) => {
      opened.push(given[0]);
      return await open(...given);
    };
    const keys = ['state/el9//', 'list/el9//primary', 'list/el9//filelists', 'list/el9//other'];
    const kept = await Promise.all(keys.map(async (key) => (await entries.find('test', key))?.digest));
    await putRpm(repository, { version: '2.0' });
    // Two of them have the same bytes here.
    expect(opened.sort()).toEqual([...new Set(kept)].sort());
  });

  it('is whole again with the next publication where bytes of a list are lost', async () => {
    const repository = await hostedRpm();
    for (const name of ['a', 'b']) await putRpm(repository, { name });
    await putRpm(repository, { name: 'other' }, '/el9/more');
    const before = await listsOf(repository);
    const lost = await repository.entries.find('test', 'list/el9//filelists');
    await repository.blobs.delete(lost!.digest);
    // A package that is lost as well cannot be installed.
    await repository.blobs.delete(`sha256:${sha256(rpm({ name: 'b' }))}`);
    repository.clock.advance(60_000);
    await putRpm(repository, { name: 'c' });
    expect(await listedFiles(repository)).toEqual(['a', 'c'].map((name) => fileOf({ name })));
    // With the times at which they were published.
    const [, element = ''] = /(<package [^]*?<\/package>)/.exec(before.primary) ?? [];
    expect((await listsOf(repository)).primary).toContain(element);
    const path = `/el9/Packages/${fileOf({ name: 'b' })}`;
    expect((await repository.ask({ method: 'DELETE', path })).status).toBe(204);
    expect(await listedFiles(repository)).toHaveLength(2);
  });
});

describe('signatures', () => {
  it('are of the newest state, by the key that is configured now', async () => {
    const [first, second] = [await archiveKey('a passphrase'), await archiveKey()];
    const repository = await hostedRpm({ signing: { key: first.privateKey, passphrase: 'a passphrase' } });
    const later = await hostedRpm({ signing: { key: second.privateKey } }, { stores: repository });
    for (const version of ['1', '2']) {
      await putRpm(repository, { version });
      repository.clock.advance(1000);
      for (const [one, { publicKey }] of [
        [repository, first],
        [later, second],
      ] as const) {
        const verificationKeys = await readKey({ armoredKey: await textOf(one, '/el9/repodata/repomd.xml.key') });
        expect(verificationKeys.isPrivate()).toBe(false);
        expect(verificationKeys.getFingerprint()).toBe((await readKey({ armoredKey: publicKey })).getFingerprint());
        const message = await createMessage({
          binary: Buffer.from(await textOf(one, '/el9/repodata/repomd.xml')),
        });
        const signature = await readSignature({ armoredSignature: await textOf(one, '/el9/repodata/repomd.xml.asc') });
        await verify({ message, signature, verificationKeys, date: new Date(one.clock.now()), expectSigned: true });
      }
    }
    const unsigned = await hostedRpm({}, { stores: repository });
    for (const end of ['asc', 'key']) expect((await unsigned.ask(`/el9/repodata/repomd.xml.${end}`)).status).toBe(404);
  });
});

describe('a package', () => {
  it('is taken again as it is, and refused with other bytes', async () => {
    const repository = await hostedRpm();
    expect((await putRpm(repository, {})).status).toBe(201);
    const before = await textOf(repository, '/el9/repodata/repomd.xml');
    repository.clock.advance(5000);
    expect((await putRpm(repository, {})).status).toBe(200);
    // An epoch is no part of a name.
    for (const parts of [{ data: 'other' }, { epoch: 1 }]) {
      const { status, body } = await putRpm(repository, parts);
      expect([status, body.toString()]).toEqual([409, expect.stringContaining('a new version or release')]);
    }
    expect(await textOf(repository, '/el9/repodata/repomd.xml')).toBe(before);
  });

  it('has the name that its header says', async () => {
    const repository = await hostedRpm();
    const put = async (path: string, body: Buffer) => {
      const { status, body: text } = await repository.ask({ method: 'PUT', path, body });
      return [status, text.toString()];
    };
    const path = '/el9/Packages/hello-2.0-1.x86_64.rpm';
    expect(await put(path, rpm({}))).toEqual([400, expect.stringContaining(fileOf({}))]);
    expect(await put(path, Buffer.from('<html>'.repeat(50)))).toEqual([400, expect.stringContaining('no RPM package')]);
    const wrong = [
      '/hello-1.0-1.x86_64.rpm',
      '/el9/hello-1.0-1.x86_64.rpm',
      '/el9/Packages/hello.rpm',
      '/el9/Packages/hello-1.0.x86_64.rpm',
      '/el9/Packages/',
      '/a/b/c/d/e/Packages/hello-1.0-1.x86_64.rpm',
      '/Packages/Packages/hello-1.0-1.x86_64.rpm',
    ];
    for (const place of wrong)
      expect([place, ...(await put(place, rpm({})))]).toEqual([place, 400, expect.stringContaining('Packages/<name>')]);
    expect((await repository.ask('/el9/repodata/repomd.xml')).status).toBe(404);
  });

  it('may be a source', async () => {
    const repository = await hostedRpm();
    for (const [architecture, numbers] of [
      ['src', { 1106: [1] }],
      ['nosrc', { 1106: [1], 1051: [0] }],
    ] as const)
      expect((await putRpm(repository, { architecture, numbers, without: [1044] })).status).toBe(201);
    expect(await listedFiles(repository)).toEqual(['hello-1.0-1.nosrc.rpm', 'hello-1.0-1.src.rpm']);
    expect(await repository.entries.find('test', 'package/el9//hello/1.0-1.src.rpm')).toMatchObject({
      coordinates: { ecosystem: 'rpm', name: 'hello', version: '1.0-1' },
    });
  });
});

it('has what its paths can say, and nothing else', async () => {
  const repository = await hostedRpm();
  await putRpm(repository, {});
  const absent = [
    '/repodata/repomd.xml',
    '/el9/repodata/',
    '/el9/repodata/repomd.xml.zck',
    '/el9/repodata/primary.xml.gz',
    `/el9/repodata/${'ab'.repeat(32)}-primary.xml.gz`,
    `/el9/repodata/${'ab'.repeat(32)}-updateinfo.xml.gz`,
    '/el9/repodata/repodata/repomd.xml',
    '/el9/Packages/',
    '/el9/Packages/hello-1.1-1.x86_64.rpm',
    '/',
  ];
  for (const path of absent) expect([path, (await repository.ask(path)).status]).toEqual([path, 404]);
  for (const method of ['PUT', 'DELETE'])
    expect((await repository.ask({ method, path: '/el9/repodata/repomd.xml' })).status).toBe(405);
});

it('lets rules remove versions of a package in its place, the oldest as rpm orders them', async () => {
  const repository = await hostedRpm();
  const all = [
    { version: '1.9' },
    { version: '1.10' },
    { version: '1.10~rc1' },
    { version: '1.0', epoch: 1 },
    { version: '1.9', architecture: 'aarch64' },
    { name: 'hello-1.9', version: '2' },
  ];
  for (const parts of all) await putRpm(repository, parts);
  await putRpm(repository, {}, '');
  const { cleanup } = repository.engine;
  const groups = await Array.fromAsync(cleanup!.stored());
  expect(groups.map((group) => [group[0]?.name, group.map(({ version }) => version)])).toEqual([
    ['hello/x86_64', ['1.0-1']],
    ['el9/hello-1.9/x86_64', ['2-1']],
    ['el9/hello/x86_64', ['1:1.0-1', '1.10-1', '1.10~rc1-1', '1.9-1']],
    ['el9/hello/aarch64', ['1.9-1']],
  ]);
  const order = plugin.hosted!.cleanup!.versions!.order!;
  const oldest = groups[2]!.toSorted((one, other) => {
    const [first, second] = [one, other].map(({ version = '' }) => order.parse(version));
    return order.compare(first, second);
  });
  const { retired } = await cleanup!.retire(oldest.slice(0, 2).map((version) => ({ version })));
  expect(retired.map(({ version }) => version)).toEqual(['1.9-1', '1.10~rc1-1']);
  expect(await listedFiles(repository)).toEqual([
    'hello-1.0-1.x86_64.rpm',
    'hello-1.10-1.x86_64.rpm',
    'hello-1.9-1.aarch64.rpm',
    'hello-1.9-2-1.x86_64.rpm',
  ]);
});

it('has lines for dnf, zypper and curl that lead to it', async () => {
  const { privateKey } = await archiveKey();
  const repository = await hostedRpm({ signing: { key: privateKey } });
  const baseUrl = 'https://packages.example.com/rpms';
  const facts = { name: 'rpms', kind: 'hosted', upstreams: [] } as const;
  const steps = (plugin.clients?.setup?.({ baseUrl, repository: facts }) ?? []).flatMap((one) => one.steps);
  const lines = steps.map(({ text }) => text).join('\n');
  const [, keyPath = ''] = /^gpgkey=https:\S+?\/rpms(\/\S+)$/m.exec(lines) ?? [];
  expect(await textOf(repository, keyPath)).toMatch(/^-----BEGIN PGP PUBLIC KEY BLOCK-----/);
  expect(lines).toContain('\nrepo_gpgcheck=1\n');
  const [, folder = ''] = /--upload-file \S+ https:\S+?\/rpms(\/\S+)/.exec(lines) ?? [];
  const path = `${folder}${fileOf({})}`;
  expect((await repository.ask({ method: 'PUT', path, body: rpm({}) })).status).toBe(201);
  expect(await listedFiles(repository, '')).toEqual([fileOf({})]);
});

it('has lines with a place for a password, where each client reads it', () => {
  const repository = { name: 'rpms', kind: 'proxy', upstreams: [] } as const;
  const setups = plugin.clients?.setup?.({ baseUrl: 'https://example.com/rpms', repository, guarded: true }) ?? [];
  const [dnf = [], zypper = []] = setups.map(({ steps }) => steps.filter(({ kind }) => kind === 'file'));
  expect(dnf.map(({ text }) => text)).toEqual([expect.stringMatching(/^username=USER\npassword=PASSWORD$/m)]);
  expect(zypper).toMatchObject([
    { path: '/etc/zypp/credentials.d/rpms', text: 'username=USER\npassword=PASSWORD' },
    { text: expect.stringContaining('baseurl=https://example.com/rpms/?credentials=rpms\n') as string },
  ]);
});
