import { execFileSync } from 'node:child_process';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { packTar, type TarMember } from '@entrepot/core/testing';
import { readDatabaseRows, readPacmanValue, signatureOf, type ListedPacmanPackage } from '../src/pacman/db-rows.js';
import { contentOf, SUM } from './rpm-fixtures.js';

const SIGNATURE = Buffer.from('a detached signature').toString('base64');

function desc(more: Readonly<Record<string, string>> = {}): string {
  const fields = {
    FILENAME: 'hello-1:2.12-1-x86_64.pkg.tar.zst',
    NAME: 'hello-cli',
    BASE: 'hello',
    VERSION: '1:2.12-1',
    DESC: 'Says hello\n%NAME%\nother',
    CSIZE: '123',
    ISIZE: '456',
    MD5SUM: '1'.repeat(32),
    SHA256SUM: SUM.toUpperCase(),
    PGPSIG: SIGNATURE,
    ARCH: 'x86_64',
    DEPENDS: 'glibc\nbash',
    ...more,
  };
  return Object.entries(fields)
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `%${name}%\n${value}\n`)
    .join('\n');
}

function database(...members: readonly TarMember[]): Buffer {
  return packTar([{ name: 'hello-1:2.12-1/', type: '5' }, ...members]);
}

const DESC: TarMember = { name: 'hello-1:2.12-1/desc', content: desc() };

async function read(bytes: Uint8Array | string, piece?: number): Promise<Record<string, ListedPacmanPackage>> {
  const found: Record<string, ListedPacmanPackage> = {};
  for await (const [path, value] of readDatabaseRows(contentOf(bytes, piece)))
    found[path] = readPacmanValue(Buffer.from(value as string));
  return found;
}

const HELLO = {
  checksum: { algorithm: 'sha256', hex: SUM },
  size: 123,
  name: 'hello-cli',
  version: '1:2.12-1',
  architecture: 'x86_64',
  source: 'hello',
  sourceVersion: '1:2.12-1',
  signature: SIGNATURE,
};
const PATH = 'hello-1:2.12-1-x86_64.pkg.tar.zst';

describe('the packages of a database', () => {
  it('have what it says, in whatever it is packed', async () => {
    const tar = database(DESC, { name: 'hello-1:2.12-1/files', content: '%FILES%\nusr/\n' });
    const expected = { [PATH]: HELLO };
    expect(await read(tar, 7)).toEqual(expected);
    expect(await read(gzipSync(tar))).toEqual(expected);
    expect(await read(zstdCompressSync(tar))).toEqual(expected);
    expect(await read(execFileSync('xz', ['--stdout'], { input: tar }))).toEqual(expected);
    expect(signatureOf((await read(tar))[PATH]!)?.toString()).toBe('a detached signature');
  });

  it.each([
    ['no SHA-256', { SHA256SUM: '' }, { checksum: { algorithm: 'md5', hex: '1'.repeat(32) } }],
    ['no signature', { PGPSIG: '' }, { signature: undefined }],
    ['a signature that is none', { PGPSIG: 'not base64!' }, { signature: undefined }],
    ['no base', { BASE: '' }, { source: 'hello-cli' }],
    ['no size', { CSIZE: '' }, { size: 0 }],
    ['a size that is none', { CSIZE: '-1' }, { size: 0 }],
    ['no architecture', { ARCH: '' }, { architecture: 'any' }],
  ])('may have %s', async (_what, more, expected) => {
    expect((await read(database({ ...DESC, content: desc(more) })))[PATH]).toEqual({ ...HELLO, ...expected });
  });

  it.each([
    ['a file name that leads elsewhere', { FILENAME: '../../etc/passwd' }],
    ['a file name with folders', { FILENAME: 'a/b.pkg.tar.zst' }],
    ['a file name with a NUL', { FILENAME: 'a\0b' }],
    ['no file name', { FILENAME: '' }],
    ['no checksum', { SHA256SUM: '', MD5SUM: '' }],
    ['a checksum that is none', { SHA256SUM: 'abc', MD5SUM: 'abc' }],
    ['a version with blanks', { VERSION: '1 2' }],
  ])('are left out with %s', async (_what, more) => {
    const other = { name: 'other-1-1/desc', content: desc({ FILENAME: 'other' }) };
    expect(Object.keys(await read(database({ ...DESC, content: desc(more) }, other)))).toEqual(['other']);
  });

  it('are in folders of their own', async () => {
    const content = desc();
    expect(
      await read(database({ name: 'desc', content }, { name: 'a/b/desc', content }, { name: '/desc', content })),
    ).toEqual({});
    expect(Object.keys(await read(database({ name: './a/desc', content })))).toEqual([PATH]);
  });

  it('are none in a packing that is not read', async () => {
    expect(await read('BZh91AY&SY')).toEqual({});
  });
});

describe('a database that is refused', () => {
  it.each([
    ['a link', database({ name: 'a-1/desc', type: '2' }, DESC)],
    ['a hard link', database({ name: 'a-1/desc', type: '1' }, DESC)],
    ['a device', database({ name: 'a-1/desc', type: '3' }, DESC)],
    ['a size that is none of its file', database({ ...DESC, size: 1e9 })],
    ['a description that is too large', database({ ...DESC, content: Buffer.alloc(2_000_000) })],
    ['a field that stands there twice', database({ ...DESC, content: `${desc()}\n%NAME%\nother\n` })],
    ['something after its end', packTar([DESC], Buffer.concat([Buffer.alloc(1024), Buffer.from('x')]))],
    ['half of it', database(DESC).subarray(0, 1500)],
    ['half of it, packed', gzipSync(database(DESC)).subarray(0, 200)],
    ['a web page', Buffer.from('<html><body>Please log in</body></html>'.repeat(50))],
    ['nothing', Buffer.alloc(0)],
  ])('has %s', async (_what, bytes) => {
    await expect(read(bytes)).rejects.toMatchObject({ kind: 'upstream-unavailable' });
  });
});
