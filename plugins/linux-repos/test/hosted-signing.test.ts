import { openTestRepository } from '@entrepot/core/testing';
import { createMessage, readCleartextMessage, readKey, readSignature, verify } from 'openpgp';
import { expect, it, onTestFinished } from 'vitest';
import plugin from '../src/deb/index.js';
import { archiveKey, deb, hosted, listed, put, sha256, textOf } from './hosted-fixtures.js';

it('is documents of one state, signed by the key', async () => {
  const { privateKey, publicKey } = await archiveKey('a passphrase');
  const repository = await hosted({
    signing: { key: privateKey, passphrase: 'a passphrase' },
    origin: 'Example',
    label: 'Tools',
  });
  await put(repository, deb('hello', '1.0'), 'hello_1.0_amd64.deb');
  await put(repository, deb('world', '2.0', 'all'), 'world_2.0_all.deb', '/pool/stable/extra');
  const release = await textOf(repository, '/dists/stable/Release');
  expect(release).toMatch(/^Origin: Example\nLabel: Tools\nSuite: stable\nCodename: stable\nDate: .* UTC\n/);
  expect(release).toContain('\nArchitectures: all amd64\nComponents: extra main\nAcquire-By-Hash: yes\n');
  expect(release).toContain('\nNo-Support-for-Architecture-all: Packages\n');
  expect([...listed(release).keys()]).toEqual(
    ['extra', 'main'].flatMap((component) =>
      ['all', 'amd64'].flatMap((architecture) =>
        ['', '.gz'].map((end) => `${component}/binary-${architecture}/Packages${end}`),
      ),
    ),
  );
  for (const [name, { sum, size }] of listed(release)) {
    const folder = name.slice(0, name.lastIndexOf('/'));
    for (const path of [`/dists/stable/${name}`, `/dists/stable/${folder}/by-hash/SHA256/${sum}`]) {
      const { status, body } = await repository.ask(path);
      expect([status, body.length, sha256(body)]).toEqual([200, size, sum]);
    }
  }
  const verificationKeys = await readKey({ armoredKey: await textOf(repository, '/archive-key.asc') });
  expect(verificationKeys.getFingerprint()).toBe((await readKey({ armoredKey: publicKey })).getFingerprint());
  expect(verificationKeys.isPrivate()).toBe(false);
  const date = new Date(repository.clock.now());
  const cleartextMessage = await textOf(repository, '/dists/stable/InRelease');
  const inline = await readCleartextMessage({ cleartextMessage });
  const signed = await verify({ message: inline, verificationKeys, date, expectSigned: true });
  expect(`${signed.data.trimEnd()}\n`).toBe(release);
  const signature = await readSignature({ armoredSignature: await textOf(repository, '/dists/stable/Release.gpg') });
  const message = await createMessage({ binary: Buffer.from(release) });
  await verify({ message, signature, verificationKeys, date, expectSigned: true });
});

it('signs with the key that is configured now, also what was published before', async () => {
  const [first, second] = [await archiveKey(), await archiveKey()];
  const repository = await hosted({ signing: { key: first.privateKey } });
  await put(repository, deb('hello', '1.0'), 'hello_1.0_amd64.deb');
  const release = await textOf(repository, '/dists/stable/Release');
  const later = await hosted({ signing: { key: second.privateKey } }, { stores: repository });
  const message = await readCleartextMessage({ cleartextMessage: await textOf(later, '/dists/stable/InRelease') });
  const verificationKeys = await readKey({ armoredKey: second.publicKey });
  const date = new Date(later.clock.now());
  const { data } = await verify({ message, verificationKeys, date, expectSigned: true });
  expect(`${data.trimEnd()}\n`).toBe(release);
  // Once for a state.
  const asked = [await textOf(later, '/dists/stable/InRelease'), await textOf(later, '/dists/stable/InRelease')];
  expect(new Set(asked).size).toBe(1);
  const unsigned = await hosted({}, { stores: repository });
  expect((await unsigned.ask('/dists/stable/InRelease')).status).toBe(404);
});

it('has Release files that are renewed before they expire, on each replica alike', async () => {
  const { privateKey, publicKey } = await archiveKey();
  const options = { signing: { key: privateKey }, validFor: '2h' };
  const repository = await hosted(options);
  await put(repository, deb('hello', '1.0'), 'hello_1.0_amd64.deb');
  const replica = await hosted(options, { stores: repository });
  const verificationKeys = await readKey({ armoredKey: publicKey });
  let last = 0;
  for (const minutes of [0, 59, 1, 300]) {
    for (const { clock } of [repository, replica]) clock.advance(60_000 * minutes);
    const release = await textOf(repository, '/dists/stable/Release');
    expect(await textOf(replica, '/dists/stable/Release')).toBe(release);
    const now = repository.clock.now();
    const timeOf = (field: string) => Date.parse(new RegExp(`^${field}: (.*)$`, 'm').exec(release)?.[1] ?? '');
    expect(timeOf('Date')).toBeGreaterThanOrEqual(last);
    expect(timeOf('Date')).toBeLessThanOrEqual(now);
    expect(timeOf('Valid-Until')).toBeGreaterThan(now + 3_600_000 - 1);
    expect(timeOf('Valid-Until')).toBeLessThanOrEqual(now + 7_200_000);
    last = timeOf('Date');
    const message = await createMessage({ binary: Buffer.from(release) });
    const signature = await readSignature({ armoredSignature: await textOf(replica, '/dists/stable/Release.gpg') });
    await verify({ message, signature, verificationKeys, date: new Date(now), expectSigned: true });
  }
  expect(new Date(last).toISOString()).toBe('2026-01-01T06:00:00.000Z');
});

it('refuses to start with a key that cannot sign, and says nothing of it', async () => {
  const { privateKey, publicKey } = await archiveKey('a passphrase');
  const open = async (key: string, passphrase?: string) =>
    await openTestRepository({
      plugin,
      options: { signing: { key, passphrase } },
      definition: { kind: 'hosted' },
    }).then(
      (repository) => void onTestFinished(() => repository.close()),
      (error: Error) => error,
    );
  for (const [key, passphrase] of [['no key'], [publicKey], [privateKey], [privateKey, 'wrong']] as const) {
    const error = await open(key, passphrase);
    expect(error).toMatchObject({ kind: 'configuration', message: expect.stringContaining('signing.key') as string });
    expect((error as Error).message).not.toContain('BEGIN');
  }
});
