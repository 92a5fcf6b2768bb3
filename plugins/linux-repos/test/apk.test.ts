import { generateKeyPairSync, hash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it, onTestFinished } from 'vitest';
import { silentLogger } from '@entrepot/core';
import { packTar } from '@entrepot/core/testing';
import { readIndexRows } from '../src/apk/index-rows.js';
import { firstMember } from '../src/apk/members.js';
import { checkPackage } from '../src/apk/package-check.js';
import { ApkSignatures, readSignatures } from '../src/apk/signature.js';
import { readListed, type ListedFile } from '../src/shared/listed.js';
import { apk, indexPart, KEY_NAME, KEYS, part, signaturePart } from './apk-fixtures.js';
import { contentOf } from './rpm-fixtures.js';

const SHA1 = 'ab'.repeat(20);
const Q1 = `Q1${Buffer.from(SHA1, 'hex').toString('base64')}`;
const INDEX = `C:${Q1}
P:hello-doc
V:1.0-r0
A:x86_64
S:5557
I:20480
T:says hello: P:other
U:https://example.com
o:hello
D:so:libc.musl-x86_64.so.1

C:${Q1}
P:world
V:2.0_rc1-r3

`;

describe('the packages of an index', () => {
  async function read(bytes: Uint8Array, piece?: number): Promise<Record<string, ListedFile>> {
    const found: Record<string, ListedFile> = {};
    for await (const [path, value] of readIndexRows(contentOf(bytes, piece))) {
      const { more, ...file } = readListed(Buffer.from(value as string));
      expect(more).toEqual([]);
      found[path] = file;
    }
    return found;
  }

  const hello = {
    checksum: { algorithm: 'sha1', hex: SHA1 },
    size: 5557,
    name: 'hello-doc',
    version: '1.0-r0',
    architecture: 'x86_64',
    source: 'hello',
    sourceVersion: '1.0-r0',
  };
  const world = {
    ...hello,
    size: 0,
    name: 'world',
    version: '2.0_rc1-r3',
    architecture: 'noarch',
    source: 'world',
    sourceVersion: '2.0_rc1-r3',
  };

  it('have what it says, signed or not', async () => {
    const index = indexPart(INDEX);
    const expected = { 'hello-doc-1.0-r0.apk': hello, 'world-2.0_rc1-r3.apk': world };
    expect(await read(index)).toEqual(expected);
    expect(await read(Buffer.concat([signaturePart(index), index]), 7)).toEqual(expected);
    // Some tools leave the end of the last part away, too.
    expect(await read(part([{ name: 'APKINDEX', content: INDEX.trimEnd() }]))).toEqual(expected);
  });

  it('are summed by SHA-256 in newer indexes', async () => {
    const sum = randomBytes(32);
    const index = indexPart(INDEX.replace(Q1, `Q2${sum.toString('base64')}`));
    expect((await read(index))['hello-doc-1.0-r0.apk']?.checksum).toEqual({
      algorithm: 'sha256',
      hex: sum.toString('hex'),
    });
  });

  it.each([
    ['a name that leads elsewhere', INDEX.replace('P:hello-doc', 'P:../../hello')],
    ['a version that leads elsewhere', INDEX.replace('V:1.0-r0', 'V:/../../1')],
    ['no checksum', INDEX.replace(`C:${Q1}\n`, '')],
    ['a checksum that is none', INDEX.replace(`C:${Q1}`, 'C:Q1abcd')],
    ['a checksum by MD5', INDEX.replace(`C:${Q1}`, `C:${'a'.repeat(32)}`)],
    ['no version', INDEX.replace('V:1.0-r0\n', '')],
    ['a name with blanks', INDEX.replace('P:hello-doc', 'P:hello doc')],
  ])('are left out with %s', async (_what, text) => {
    expect(Object.keys(await read(indexPart(text)))).toEqual(['world-2.0_rc1-r3.apk']);
  });

  it.each([
    [
      'two lists',
      part([
        { name: 'APKINDEX', content: INDEX },
        { name: 'APKINDEX', content: INDEX },
      ]),
    ],
    ['no list', part([{ name: 'DESCRIPTION', content: 'x' }])],
    ['a field that stands there twice', indexPart(INDEX.replace('V:1.0-r0', 'V:1.0-r0\nV:2'))],
    ['a link', part([{ name: 'APKINDEX', type: '2' }])],
    ['half of it', indexPart(INDEX).subarray(0, 100)],
    ['a web page', Buffer.from('<html><body>Please log in</body></html>'.repeat(50))],
    ['something after it', Buffer.concat([indexPart(INDEX), part([{ name: 'APKINDEX', content: INDEX }])])],
    ['nothing', Buffer.alloc(0)],
  ])('are not read of an index with %s', async (_what, bytes) => {
    await expect(read(bytes)).rejects.toMatchObject({ kind: 'upstream-unavailable' });
  });
});

describe('the signature of an index', () => {
  const index = indexPart(INDEX);
  const other = generateKeyPairSync('rsa', { modulusLength: 2048 });

  async function open(mode?: 'off' | 'warn' | 'enforce', name = KEY_NAME): Promise<ApkSignatures> {
    const folder = mkdtempSync(join(tmpdir(), 'entrepot-apk-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, name), KEYS.publicKey.export({ type: 'spki', format: 'pem' }));
    return await ApkSignatures.open({ mode, keys: [join(folder, name)] }, silentLogger);
  }

  it.each([
    ['RSA', 'sha1'],
    ['RSA256', 'sha256'],
    ['RSA512', 'sha512'],
  ])('is taken by a known key: %s', async (kind, hash) => {
    const bytes = Buffer.concat([signaturePart(index, { kind, hash }), index]);
    await (await open()).check(new Uint8Array(bytes), 'APKINDEX.tar.gz');
    const { signatures, signed } = await readSignatures(bytes, 'x');
    expect(signatures).toMatchObject([{ key: KEY_NAME, hash }]);
    expect(signed.equals(index)).toBe(true);
  });

  it('may be one of several', async () => {
    const stranger = signaturePart(index, { key: other.privateKey, name: 'other.rsa.pub' });
    const unknown = part([{ name: '.SIGN.DSA.x.dsa.pub', content: 'x' }]);
    await (await open()).check(Buffer.concat([unknown, stranger, signaturePart(index), index]), 'x');
  });

  it.each([
    ['no signature', index, /there is none/],
    ['changed bytes', Buffer.concat([signaturePart(index), indexPart(`${INDEX}\n`)]), /wrong/],
    ['more bytes at its end', Buffer.concat([signaturePart(index), index, index]), /wrong/],
    ['one by another key', Buffer.concat([signaturePart(index, { key: other.privateKey }), index]), /wrong/],
    [
      'one by an unknown key',
      Buffer.concat([signaturePart(index, { name: 'x.rsa.pub' }), index]),
      /not among the keys/,
    ],
    [
      'one by a name that leads elsewhere',
      Buffer.concat([signaturePart(index, { name: `a/${KEY_NAME}` }), index]),
      /none/,
    ],
    ['one by another algorithm', Buffer.concat([signaturePart(index, { kind: 'RSA256' }), index]), /wrong/],
    ['one by an unknown algorithm', Buffer.concat([signaturePart(index, { kind: 'constructor' }), index]), /none/],
    [
      'a file among its signatures',
      Buffer.concat([
        part([
          { name: '.SIGN.RSA.a', content: 'x' },
          { name: 'APKINDEX', content: INDEX },
        ]),
        index,
      ]),
      /among its signatures/,
    ],
    [
      'signatures without end',
      Buffer.concat([...Array.from({ length: 9 }, () => signaturePart(index)), index]),
      /parts/,
    ],
    ['nothing', Buffer.alloc(0), /none/],
  ])('is refused with %s', async (_what, bytes, problem) => {
    await expect((await open()).check(bytes, 'x')).rejects.toThrow(problem);
    await expect((await open()).check(bytes, 'x')).rejects.toMatchObject({ kind: 'upstream-unavailable' });
    await (await open('warn')).check(bytes, 'x');
    await (await open('off')).check(bytes, 'x');
  });

  it('needs keys that can be read', async () => {
    await expect(ApkSignatures.open({ keys: ['/nowhere/x.rsa.pub'] }, silentLogger)).rejects.toMatchObject({
      kind: 'configuration',
    });
    const none = await ApkSignatures.open({ keys: [] }, silentLogger);
    expect([none.mode, none.isChecking]).toEqual(['warn', false]);
  });
});

describe('the check of a package', () => {
  function check(bytes: Buffer, control: ReturnType<typeof apk>['identity'], piece = 1000) {
    return checkPackage(contentOf(bytes, piece), control, 'hello-1.0-r0.apk');
  }

  it.each([1, 7, 1_000_000])('takes what the index names, in pieces of %d bytes', async (piece) => {
    const { signature, control, data, identity } = apk();
    await check(Buffer.concat([signature, control, data]), identity, piece);
    await check(Buffer.concat([control, data]), identity, piece);
  });

  it('takes a package of some size', async () => {
    const data = part([{ name: 'data', content: randomBytes(3_000_000) }]);
    const script = { name: '.post-install', content: randomBytes(300_000) };
    const made = apk({ data });
    const info = { name: '.PKGINFO', content: `datahash = ${made.identity.hex}` };
    await check(Buffer.concat([made.signature, made.control, data]), made.identity, 65_536);
    const stated = { name: '.PKGINFO', content: `datahash = ${hash('sha256', data)}\n` };
    const large = apk({ data, files: [script, stated] });
    await check(Buffer.concat([large.signature, large.control, data]), large.identity, 65_536);
    const wrong = apk({ data, files: [script, info] });
    await expect(check(Buffer.concat([wrong.control, data]), wrong.identity)).rejects.toThrow(/hash/);
  });

  it('takes a package without data', async () => {
    const { signature, control, identity } = apk({ info: 'pkgname = hello\n' });
    await check(Buffer.concat([signature, control]), identity);
  });

  const good = apk();
  const rebuilt = apk({ data: part([{ name: 'usr/bin/hello', content: 'other' }]) });
  const unsaid = apk({ info: 'pkgname = hello\n' });
  it.each([
    [
      'another control part',
      Buffer.concat([rebuilt.signature, rebuilt.control, rebuilt.data]),
      good.identity,
      'integrity',
    ],
    [
      'other data behind a good control part',
      Buffer.concat([good.signature, good.control, rebuilt.data]),
      good.identity,
      'integrity',
    ],
    [
      'more after its data',
      Buffer.concat([good.signature, good.control, good.data, rebuilt.data]),
      good.identity,
      'integrity',
    ],
    ['no data', Buffer.concat([good.signature, good.control]), good.identity, 'integrity'],
    [
      'half of its data',
      Buffer.concat([good.signature, good.control, good.data.subarray(0, 20)]),
      good.identity,
      'integrity',
    ],
    [
      'data that it does not state',
      Buffer.concat([unsaid.control, unsaid.data]),
      unsaid.identity,
      'upstream-unavailable',
    ],
    [
      'half of its control part',
      Buffer.concat([good.signature, good.control.subarray(0, 50)]),
      good.identity,
      'upstream-unavailable',
    ],
    ['a signature alone', good.signature, good.identity, 'upstream-unavailable'],
    [
      'two signatures',
      Buffer.concat([good.signature, good.signature, good.control, good.data]),
      good.identity,
      'integrity',
    ],
    ['a web page', Buffer.from('<html><body>Please log in</body></html>'), good.identity, 'upstream-unavailable'],
    ['nothing', Buffer.alloc(0), good.identity, 'upstream-unavailable'],
  ])('refuses %s', async (_what, bytes, identity, kind) => {
    await expect(check(bytes, identity)).rejects.toMatchObject({ kind });
  });

  it.each([
    ['two hashes', [{ name: '.PKGINFO', content: `datahash = ${'a'.repeat(64)}\ndatahash = ${'b'.repeat(64)}\n` }]],
    ['a hash that is none', [{ name: '.PKGINFO', content: 'datahash = abc\n' }]],
    ['two .PKGINFO', [{ name: '.PKGINFO' }, { name: '.PKGINFO' }]],
    ['no .PKGINFO', [{ name: '.post-install' }]],
    ['a link', [{ name: '.PKGINFO', type: '2' }]],
  ])('refuses a control part with %s', async (_what, files) => {
    const { signature, control, data, identity } = apk({ files });
    await expect(check(Buffer.concat([signature, control, data]), identity)).rejects.toMatchObject({
      kind: 'upstream-unavailable',
    });
  });

  it('refuses a bomb before its data, and lets go of the source', async () => {
    const bomb = gzipSync(packTar([{ name: '.PKGINFO', content: Buffer.alloc(64 * 1024 * 1024) }]));
    let read = 0;
    let isOver = false;
    async function* stream() {
      try {
        for (read = 0; ; read += bomb.length) yield bomb;
      } finally {
        isOver = true;
      }
    }
    await expect(checkPackage({ stream }, good.identity, 'x')).rejects.toMatchObject({ kind: 'upstream-unavailable' });
    expect(isOver).toBe(true);
    expect(read).toBeLessThan(1_000_000);
  });

  it('refuses parts without end', async () => {
    const noise = randomBytes(1024 * 1024);
    let read = 0;
    async function* stream() {
      yield gzipSync(noise).subarray(0, 500_000);
      for (; read < 100; read += 1) yield gzipSync(noise, { level: 0 }).subarray(11, 60_000);
    }
    await expect(checkPackage({ stream }, good.identity, 'x')).rejects.toMatchObject({ kind: 'upstream-unavailable' });
  });
});

describe('a gzip member', () => {
  it('may have every field of a head', async () => {
    const plain = gzipSync('hello');
    const head = Buffer.from([0x1f, 0x8b, 8, 0x1e, 0, 0, 0, 0, 0, 3]);
    const fields = [Buffer.from([2, 0, 1, 2]), Buffer.from('name\0'), Buffer.from('comment\0'), Buffer.from([1, 2])];
    const member = Buffer.concat([head, ...fields, plain.subarray(10)]);
    const bytes = Buffer.concat([member, plain]);
    expect(await firstMember(bytes, 100, 'x')).toEqual({ length: member.length, plain: Buffer.from('hello') });
    // Until it is whole it goes on.
    for (let length = 0; length < member.length; length += 1)
      expect(await firstMember(bytes.subarray(0, length), 100, 'x'), String(length)).toBeUndefined();
  });

  it.each([
    ['another sum', (bytes: Buffer) => bytes.writeUInt8((bytes.at(-8) as number) ^ 1, bytes.length - 8)],
    ['another length', (bytes: Buffer) => bytes.writeUInt8((bytes.at(-4) as number) ^ 1, bytes.length - 4)],
    ['another form', (bytes: Buffer) => bytes.writeUInt8(7, 2)],
    ['unknown flags', (bytes: Buffer) => bytes.writeUInt8(0x20, 3)],
    ['damaged blocks', (bytes: Buffer) => bytes.writeUInt8(0xff, 10)],
  ])('is refused with %s', async (_what, damage) => {
    const bytes = gzipSync('hello');
    damage(bytes);
    await expect(firstMember(bytes, 100, 'x')).rejects.toMatchObject({ kind: 'upstream-unavailable' });
  });
});
