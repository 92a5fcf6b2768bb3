import { createHash } from 'node:crypto';
import { gunzipSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { arArchive } from '@entrepot/fixtures/deb-archive';
import { tarball } from '@entrepot/fixtures/tar';
import { describe, expect, it } from 'vitest';
import { readDeb, type DebFile } from '../src/deb/hosted/deb-file.js';
import { deb } from './hosted-fixtures.js';

const CONTROL = 'Package: hello\nVersion: 1.0-1\nArchitecture: amd64\nDescription: hello\n long\n .\n text\n';
const VERSION = Buffer.from('2.0\n');
const DATA = Buffer.from('data');

async function read(bytes: Uint8Array, piece = 70): Promise<DebFile> {
  async function* stream(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += piece) yield bytes.subarray(at, at + piece);
  }
  return await readDeb({ size: bytes.length, stream });
}

function tar(files: Readonly<Record<string, string>>): Buffer {
  const entries = Object.entries(files).map(([name, body]) => [name, { body: Buffer.from(body) }] as const);
  return gunzipSync(tarball(Object.fromEntries(entries)));
}

function withControl(text: string): Buffer {
  return arArchive({ 'debian-binary': VERSION, 'control.tar': tar({ './control': text }), 'data.tar': DATA });
}

describe('readDeb', () => {
  it('reads what a package says of itself, as it is written, in any pieces', async () => {
    const bytes = deb('hello', '1:2.0-1', 'arm64', 'odd', 'greetings (3.0)');
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    for (const piece of [1, 60, 100_000]) {
      const found = await read(bytes, piece);
      expect(found).toMatchObject({ sha256, size: bytes.length });
      expect(found.control).toMatchObject({ name: 'hello', version: '1:2.0-1', architecture: 'arm64' });
      expect(found.control).toMatchObject({ source: 'greetings', sourceVersion: '3.0' });
      expect(found.control.text).toMatch(/^Package: hello\nSource: greetings \(3\.0\)\n(?:.+\n)+$/);
    }
  });

  it('reads each form of control.tar, and members of others', async () => {
    const plain = tar({ './': '', './md5sums': 'x', './control': CONTROL });
    for (const [end, bytes] of Object.entries({ '': plain, '.gz': gzipSync(plain), '.zst': zstdCompressSync(plain) })) {
      const members = { 'debian-binary/': VERSION, _odd: Buffer.from('x'), [`control.tar${end}`]: bytes };
      const { control } = await read(arArchive({ ...members, 'data.tar.xz': DATA, _gpgorigin: DATA }));
      expect(control.text).toBe(CONTROL);
    }
  });

  it.each<[string, Uint8Array, RegExp]>([
    ['nothing', Buffer.alloc(0), /ends too early/],
    ['a page', Buffer.from('<html>'.repeat(20)), /begins with !<arch>/],
    ['the beginning of one', deb('hello', '1.0').subarray(0, 300), /ends too early/],
    ['no version', arArchive({ 'control.tar': tar({ control: CONTROL }), 'data.tar': DATA }), /debian-binary as the/],
    ['another version', arArchive({ 'debian-binary': Buffer.from('3.0\n') }), /of version 2/],
    [
      'no data',
      arArchive({ 'debian-binary': VERSION, 'control.tar': tar({ control: CONTROL }) }),
      /found debian-binary/,
    ],
    ['data before control', arArchive({ 'debian-binary': VERSION, 'data.tar': DATA }), /control\.tar before data/],
    ['another member', arArchive({ 'debian-binary': VERSION, other: DATA }), /found "other"/],
    ['another form', arArchive({ 'debian-binary': VERSION, 'control.tar.bz2': DATA }), /or that as \.gz/],
    ['a wrong name', arArchive({ 'debian-binary': VERSION, 'control.tar.xz': gzipSync('x') }), /not what its name/],
    [
      'broken gzip',
      arArchive({ 'debian-binary': VERSION, 'control.tar.gz': gzipSync('x').subarray(0, 12) }),
      /unpacked/,
    ],
    ['a tar that is none', arArchive({ 'debian-binary': VERSION, 'control.tar.gz': gzipSync('x') }), /too early/],
    [
      'no control',
      arArchive({ 'debian-binary': VERSION, 'control.tar': tar({ other: CONTROL }) }),
      /a file named control/,
    ],
    [
      'two controls',
      arArchive({ 'debian-binary': VERSION, 'control.tar': tar({ control: CONTROL, './control': CONTROL }) }),
      /one file named control/,
    ],
    [
      'a bomb',
      arArchive({ 'debian-binary': VERSION, 'control.tar.gz': gzipSync(tar({ a: 'x'.repeat(33 * 1024 * 1024) })) }),
      /bytes at most/,
    ],
    ['a large control', withControl(`${CONTROL}X: ${'x'.repeat(600_000)}\n`), /bytes at most/],
    ['no name', withControl('Version: 1\nArchitecture: all\n'), /no field Package/],
    ['a name in capitals', withControl(CONTROL.replace('hello', 'Hello')), /Package: "Hello"/],
    ['a name with a slash', withControl(CONTROL.replace('hello', 'a/../b')), /Package: /],
    ['no number', withControl(CONTROL.replace('1.0-1', 'latest')), /Version: "latest"/],
    ['no built architecture', withControl(CONTROL.replace('amd64', 'linux-any')), /Architecture: /],
    ['a source that is none', withControl(`${CONTROL}Source: a (b (c))\n`), /Source: /],
    ['a field twice', withControl(`${CONTROL}version: 2\n`), /version twice/],
    ['a field of indexes', withControl(`${CONTROL}Filename: pool/other.deb\n`), /Filename, which is for indexes/],
    ['two stanzas', withControl(`${CONTROL}\nPackage: other\n`), /one stanza/],
    ['a line of blanks', withControl(CONTROL.replace(' .', ' ')), /one stanza/],
    ['a line that is none', withControl(`${CONTROL}# comment: x\n`), /expected a field/],
    ['a carriage return', withControl(CONTROL.replaceAll('\n', '\r\n')), /control character/],
    ['a field without a beginning', withControl(` x\n${CONTROL}`), /middle of a field/],
  ])('refuses %s', async (_what, bytes, message) => {
    const error = await read(bytes).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ kind: 'bad-request', message: expect.stringMatching(message) as string });
  });
});
