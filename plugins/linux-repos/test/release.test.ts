import { describe, expect, it } from 'vitest';
import { DebArchive } from '@entrepot/fixtures/deb-archive';
import { cleartextOf } from '../src/shared/clearsigned.js';
import { parseRelease } from '../src/deb/release.js';

const SUM = 'a'.repeat(64);
const TEXT = `Origin: Debian
Version: 12.8
Date: Sat, 09 Nov 2024 10:09:27 UTC
Valid-Until: Sat, 16 Nov 2024 10:09:27 UTC
Acquire-By-Hash: yes
SHA256:
 ${SUM} 100 main/binary-amd64/Packages.xz
 ${'b'.repeat(64)} 7 main/i18n/Translation-en
SHA512:
 ${'c'.repeat(128)} 100 main/binary-amd64/Packages.xz
`;

describe('a Release file', () => {
  it('lists index files with their sums, its dates and its distribution', () => {
    const release = parseRelease(TEXT, 'Release');
    expect(release.files.get('main/binary-amd64/Packages.xz')).toEqual({
      integrity: { algorithm: 'sha256', hex: SUM },
      size: 100,
    });
    expect(release.files.size).toBe(2);
    expect(release.bySum.get('c'.repeat(128))?.integrity.hex).toBe(SUM);
    expect(release.packageLists).toEqual(['main/binary-amd64/Packages.xz']);
    expect([release.date, release.validUntil]).toEqual([1731146967000, 1731751767000]);
    expect([release.byHash, release.distribution]).toEqual([true, 'debian-12']);
    const ubuntu = parseRelease(TEXT.replace('Debian', 'Ubuntu').replace('12.8', '22.04'), 'Release');
    expect(ubuntu.distribution).toBe('ubuntu-22.04');
    expect(parseRelease(TEXT.replace('Debian', 'Acme'), 'Release').distribution).toBeUndefined();
  });

  it.each([
    ['a page', '<html><body>Log in</body></html>'],
    ['no sums', 'Origin: Debian\n'],
    ['MD5 sums alone', `MD5Sum:\n ${'a'.repeat(32)} 1 Packages\n`],
    ['sums that stand there twice', `${TEXT}SHA256:\n ${SUM} 1 other\n`],
    ['a path that leads elsewhere', `SHA256:\n ${SUM} 1 ../../etc/passwd\n`],
    ['an absolute path', `SHA256:\n ${SUM} 1 /etc/passwd\n`],
    ['a sum of another length', `SHA256:\n ${SUM.slice(1)} 1 Packages\n`],
    ['a size that is none', `SHA256:\n ${SUM} many Packages\n`],
    ['nothing', ''],
  ])('is none with %s', (_what, text) => {
    expect(() => parseRelease(text, 'Release')).toThrow(/malformed/);
  });
});

describe('a clear-signed message', async () => {
  const archive = await DebArchive.create();
  archive.add('hello', '1.0');
  await archive.publish();
  const signed = archive.files.get('dists/stable/InRelease')?.toString() ?? '';
  const plain = archive.files.get('dists/stable/Release')?.toString() ?? '';

  it('has the text that was signed', () => {
    expect(`${cleartextOf(signed, 'InRelease').trimEnd()}\n`).toBe(plain);
    expect(`${cleartextOf(signed.replaceAll('\n', '\r\n'), 'InRelease').trimEnd()}\n`).toBe(plain);
    expect(parseRelease(signed, 'InRelease').files).toEqual(parseRelease(plain, 'Release').files);
  });

  it('begins lines with a dash as RFC 9580 says', () => {
    expect(cleartextOf(signed.replace('Label: Test', '- -dash'), 'InRelease')).toContain('\n-dash\n');
  });

  it.each([
    ['text before it', (text: string) => `Suite: other\n${text}`],
    ['text behind it', (text: string) => `${text}\nSuite: other\n`],
    ['a second block', (text: string) => `${text}\n${text}`],
    ['no signature', (text: string) => text.slice(0, text.indexOf('-----BEGIN PGP SIGNATURE-----'))],
    ['no end', (text: string) => text.slice(0, -60)],
    ['a header that is none', (text: string) => text.replace(/^Hash:.*$/m, 'Suite: other')],
    [
      'text between its parts',
      (text: string) => text.replace('-----BEGIN PGP SIGNATURE-----', '-----BEGIN PGP KEY-----\n$&'),
    ],
  ])('is none with %s', (_what, change) => {
    expect(() => cleartextOf(change(signed), 'InRelease')).toThrow(/malformed/);
  });
});
