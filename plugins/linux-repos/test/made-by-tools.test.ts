import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { describe, expect, it, onTestFinished, type TestContext } from 'vitest';
import { silentLogger } from '@entrepot/core';
import { packTar } from '@entrepot/core/testing';
import { ApkSignatures } from '../src/apk/signature.js';
import { readDatabaseRows, readPacmanValue, signatureOf } from '../src/pacman/db-rows.js';
import { readPrimaryRows } from '../src/rpm/primary-rows.js';
import { parseRepomd } from '../src/rpm/repomd.js';
import { readListed } from '../src/shared/listed.js';
import { indexPart, part } from './apk-fixtures.js';
import { contentOf } from './rpm-fixtures.js';

/** A folder, once every program is there. */
function folderWith({ skip }: TestContext, ...programs: readonly string[]): string {
  for (const program of programs) {
    try {
      execFileSync('sh', ['-c', `command -v ${program}`]);
    } catch {
      skip(`no ${program} on this machine`);
    }
  }
  const folder = mkdtempSync(join(tmpdir(), 'entrepot-made-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

const SPEC = `Name: hello-libs
Epoch: 2
Version: 1.0~rc1
Release: 3.el9
Summary: Says hello & <more>
License: MIT
BuildArch: noarch
%description
Says hello ]]> & more.
%package -n hello-doc
Summary: Documents
%description -n hello-doc
Documents.
%files
%files -n hello-doc
`;

describe('a repository that createrepo_c made', () => {
  function makeRpm(folder: string, ...options: readonly string[]) {
    writeFileSync(join(folder, 'hello.spec'), SPEC);
    const places = ['--define', `_topdir ${folder}/build`, '--define', `_rpmdir ${folder}/repo`];
    mkdirSync(join(folder, 'repo'));
    execFileSync('rpmbuild', ['-bb', '--quiet', ...places, 'hello.spec'], { cwd: folder, stdio: 'pipe' });
    execFileSync('createrepo_c', ['--quiet', ...options, 'repo'], { cwd: folder, stdio: 'pipe' });
    return join(folder, 'repo');
  }

  it.for([
    ['as it does by itself', []],
    [
      'in xz, by SHA-512, without sums in names',
      ['--general-compress-type=xz', '--checksum=sha512', '--simple-md-filenames'],
    ],
    ['in zchunk, too', ['--zck', '--location-prefix=some/where']],
  ] as const)('is read %s', async ([, options], test) => {
    const folder = folderWith(test, 'rpmbuild', 'createrepo_c');
    const repository = makeRpm(folder, ...options);
    const repomd = parseRepomd(readFileSync(join(repository, 'repodata/repomd.xml')), 'repomd.xml');
    for (const { path, checksum, size } of repomd.items) {
      const bytes = readFileSync(join(repository, path));
      expect(bytes.length, path).toBe(size);
      expect(createHash(checksum.algorithm).update(bytes).digest('hex'), path).toBe(checksum.hex);
    }
    expect(Math.abs((repomd.date as number) - Date.now())).toBeLessThan(86_400_000);
    const primary = repomd.items.find(({ type }) => type === 'primary')!;
    const rows = await Array.fromAsync(readPrimaryRows(contentOf(readFileSync(join(repository, primary.path)))));
    expect(rows).toHaveLength(2);
    for (const [path, value] of rows) {
      const found = readListed(Buffer.from(value as string));
      const bytes = readFileSync(join(repository, path.replace('some/where/', '')));
      expect(found).toMatchObject({
        version: '2:1.0~rc1-3.el9',
        architecture: 'noarch',
        source: 'hello-libs',
        sourceVersion: '2:1.0~rc1-3.el9',
        size: bytes.length,
      });
      expect(createHash(found.checksum.algorithm).update(bytes).digest('hex')).toBe(found.checksum.hex);
    }
    // The other files of a repository have no rows, or none that are taken for packages.
    for (const { path, type } of repomd.items)
      if (type !== 'primary')
        expect(await Array.fromAsync(readPrimaryRows(contentOf(readFileSync(join(repository, path))))), type).toEqual(
          [],
        );
  });
});

it('reads a database that repo-add made, with signatures', async (test) => {
  const folder = folderWith(test, 'repo-add', 'bsdtar');
  const info = 'pkgname = hello\npkgbase = hello-base\npkgver = 1:2.12-1\npkgdesc = x\nsize = 1\narch = any\n';
  const file = 'hello-1:2.12-1-any.pkg.tar.zst';
  const bytes = zstdCompressSync(packTar([{ name: '.PKGINFO', content: info }]));
  writeFileSync(join(folder, file), bytes);
  writeFileSync(join(folder, `${file}.sig`), 'a signature');
  for (const ending of ['gz', 'xz', 'zst']) {
    execFileSync('repo-add', ['-q', `own-${ending}.db.tar.${ending}`, file], { cwd: folder, stdio: 'pipe' });
    for (const kind of ['db', 'files']) {
      const database = readFileSync(join(folder, `own-${ending}.${kind}`));
      const rows = await Array.fromAsync(readDatabaseRows(contentOf(database)));
      expect(rows.map(([path]) => path)).toEqual([file]);
      const found = readPacmanValue(Buffer.from(rows[0]?.[1] as string));
      expect(found).toMatchObject({
        checksum: { algorithm: 'sha256', hex: sha256(bytes) },
        size: bytes.length,
        name: 'hello',
        version: '1:2.12-1',
        architecture: 'any',
        source: 'hello-base',
      });
      expect(signatureOf(found)?.toString()).toBe('a signature');
    }
  }
});

it('takes the signature of an index that openssl made, as abuild-sign does', async (test) => {
  const folder = folderWith(test, 'openssl');
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  writeFileSync(join(folder, 'own.rsa'), privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  writeFileSync(join(folder, 'own.rsa.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
  const index = indexPart('P:hello\nV:1-r0\n');
  writeFileSync(join(folder, 'APKINDEX.tar.gz'), index);
  execFileSync('openssl', ['dgst', '-sha1', '-sign', 'own.rsa', '-out', 'signature', 'APKINDEX.tar.gz'], {
    cwd: folder,
  });
  const signature = part([{ name: '.SIGN.RSA.own.rsa.pub', content: readFileSync(join(folder, 'signature')) }]);
  const keys = await ApkSignatures.open({ keys: [join(folder, 'own.rsa.pub')] }, silentLogger);
  await keys.check(Buffer.concat([signature, index]), 'APKINDEX.tar.gz');
  await expect(keys.check(Buffer.concat([signature, indexPart('P:other\n')]), 'x')).rejects.toThrow(/wrong/);
});
