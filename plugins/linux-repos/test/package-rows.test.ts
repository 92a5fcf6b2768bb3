import { execFileSync } from 'node:child_process';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { debOrder } from '@entrepot/core/formats';
import { readPackageRows } from '../src/deb/package-rows.js';
import { readListed, type ListedFile } from '../src/shared/listed.js';

const SUM = 'a'.repeat(64);
const PACKAGES = `Package: libcurl4
Source: curl (7.88.1-10)
Version: 7.88.1-10+b1
Architecture: amd64
Filename: ./pool/main/c/curl/libcurl4_7.88.1-10+b1_amd64.deb
Size: 390000
SHA256: ${SUM}
Description: library
 with more lines
 .
 Filename: not/this

Package: hello
Version: 2:2.10
Architecture: all
Filename: pool/hello.deb
SHA256: ${'B'.repeat(64)}
`;
const SOURCES = `Package: hello
Version: 2.10
Directory: pool/main/h/hello
Files:
 ${'1'.repeat(32)} 10 hello_2.10.dsc
Checksums-Sha256:
 ${SUM} 10 hello_2.10.dsc
 ${'c'.repeat(64)} 20 hello_2.10.tar.gz
`;

/** Reads an index that comes in pieces of a size. */
async function read(bytes: Uint8Array | string, piece = 7): Promise<Record<string, ListedFile>> {
  const all = Buffer.from(bytes as Uint8Array);
  async function* stream() {
    for (let at = 0; at < all.length; at += piece) yield all.subarray(at, at + piece);
  }
  const found: Record<string, ListedFile> = {};
  for await (const [path, value] of readPackageRows({ stream })) {
    const { more, ...file } = readListed(Buffer.from(value as string));
    expect(more).toEqual([]);
    found[path] = file;
  }
  return found;
}

describe('a list of packages', () => {
  const expected = {
    'pool/main/c/curl/libcurl4_7.88.1-10+b1_amd64.deb': {
      checksum: { algorithm: 'sha256', hex: SUM },
      size: 390000,
      version: '7.88.1-10+b1',
      source: 'curl',
      sourceVersion: '7.88.1-10',
      name: 'libcurl4',
      architecture: 'amd64',
    },
    'pool/hello.deb': {
      checksum: { algorithm: 'sha256', hex: 'b'.repeat(64) },
      size: 0,
      version: '2:2.10',
      source: 'hello',
      sourceVersion: '2:2.10',
      name: 'hello',
      architecture: 'all',
    },
  };

  it('has the files of binary packages with the source that they are of', async () => {
    expect(await read(PACKAGES)).toEqual(expected);
  });

  it('is read in whatever it is packed', async () => {
    expect(await read(gzipSync(PACKAGES))).toEqual(expected);
    expect(await read(zstdCompressSync(Buffer.from(PACKAGES)))).toEqual(expected);
    const xz = execFileSync('xz', ['--stdout'], { input: PACKAGES });
    expect(await read(xz)).toEqual(expected);
    expect(await read(xz, 100_000)).toEqual(expected);
  });

  it('has the files of source packages', async () => {
    const found = await read(SOURCES);
    expect(Object.keys(found)).toEqual(['pool/main/h/hello/hello_2.10.dsc', 'pool/main/h/hello/hello_2.10.tar.gz']);
    expect(found['pool/main/h/hello/hello_2.10.tar.gz']).toMatchObject({
      checksum: { algorithm: 'sha256', hex: 'c'.repeat(64) },
      architecture: 'source',
    });
  });

  it.each([
    ['a path that leads elsewhere', PACKAGES.replace('./pool', '../pool')],
    ['no sum', PACKAGES.replace(`SHA256: ${SUM}\n`, '')],
    ['a version that is none', PACKAGES.replace('7.88.1-10+b1\n', 'with blanks\n')],
  ])('leaves out a package with %s', async (_what, text) => {
    expect(Object.keys(await read(text))).toEqual(['pool/hello.deb']);
  });

  it.each([
    ['another file', 'usr/bin/hello utils/hello\n'],
    ['bzip2', 'BZh91AY&SY'],
    ['nothing', ''],
  ])('is empty of %s', async (_what, text) => {
    expect(await read(text)).toEqual({});
  });

  it('is an error where it is broken', async () => {
    await expect(read(gzipSync(PACKAGES).subarray(0, -20))).rejects.toThrow(/malformed/);
    await expect(read(execFileSync('xz', ['--stdout'], { input: PACKAGES }).subarray(0, 100))).rejects.toThrow(
      /malformed/,
    );
    await expect(read('a'.repeat(2_000_000), 100_000)).rejects.toThrow(/lines/);
  });
});

describe('the order of versions', () => {
  const versions = [
    '1.0',
    '1.0-1',
    '1.0-1+b1',
    '1.0~rc1',
    '1.0~~',
    '1:0.9',
    '1.0a',
    '1.0+dfsg',
    '2.10',
    '2.9',
    '0',
    '1.0-1~bpo12+1',
    '007',
    '7',
  ];

  it('is that of dpkg', ({ skip }) => {
    try {
      execFileSync('dpkg', ['--version']);
    } catch {
      return skip('no dpkg on this machine');
    }
    for (const one of versions) {
      for (const other of versions) {
        const [left, right] = [debOrder.parse(one)!, debOrder.parse(other)!];
        const order = Math.sign(debOrder.compare(left, right));
        const relation = { '-1': 'lt', 0: 'eq', 1: 'gt' }[order] as string;
        expect(
          () => execFileSync('dpkg', ['--compare-versions', one, relation, other]),
          `${one} ${relation} ${other}`,
        ).not.toThrow();
      }
    }
  });
});

describe('a list of packages that breaks off', () => {
  const forms = {
    gzip: gzipSync(PACKAGES),
    zstd: zstdCompressSync(PACKAGES),
    xz: execFileSync('xz', ['--stdout'], { input: PACKAGES }),
    plain: Buffer.from(PACKAGES),
  };

  it.each(Object.entries(forms))('fails where it is read from: %s', async (_, packed) => {
    async function* stream() {
      yield packed.subarray(0, packed.length / 2);
      throw new Error('the disk is gone');
    }
    const reading = (async () => {
      for await (const row of readPackageRows({ stream })) expect(row).toBeDefined();
    })();
    await expect(reading).rejects.toMatchObject({ kind: 'upstream-unavailable' });
  });

  it.each(Object.entries(forms))('is let go when nobody reads on: %s', async (_, packed) => {
    const ended = Promise.withResolvers<void>();
    async function* stream() {
      try {
        for (;;) yield packed;
      } finally {
        ended.resolve();
      }
    }
    for await (const row of readPackageRows({ stream })) if (row.length > 0) break;
    await ended.promise;
  });
});

it('refuses a stanza that has no end', async () => {
  const line = ` ${SUM} 10 hello_2.10.dsc\n`;
  async function* stream() {
    yield Buffer.from('Package: hello\nVersion: 1\nDirectory: pool\nChecksums-Sha256:\n');
    for (let at = 0; at < 20; at += 1) yield Buffer.from(line.repeat(2_000));
  }
  const reading = (async () => {
    for await (const row of readPackageRows({ stream })) expect(row).toBeDefined();
  })();
  await expect(reading).rejects.toMatchObject({ message: expect.stringContaining('stanza') as string });
});
