import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hashGoMod, hashZip } from '../src/dirhash.js';
import { ZipError } from '@entrepot/core/formats';
import { dirHash, makeZip } from './fixtures.js';

const PREFIX = 'example.com/m@v1.0.0/';
const GO_MOD = 'module example.com/m\n';
type Files = (readonly [string, Buffer])[];

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'entrepot-zip-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function sums(zip: Buffer) {
  const path = join(folder, 'module.zip');
  await writeFile(path, zip);
  const [fromFile, fromMemory] = await Promise.allSettled(
    [path, zip].map((source) => hashZip({ source, module: 'example.com/m', version: 'v1.0.0' })),
  );
  expect(fromMemory).toEqual(fromFile);
  if (fromFile?.status !== 'fulfilled') throw fromFile?.reason;
  return fromFile.value;
}

const files = (...names: string[]): Files => names.map((name) => [PREFIX + name, Buffer.from(`content of ${name}`)]);
const plain = (): Files => [...files('a.go', 'b/c.go'), [`${PREFIX}go.mod`, Buffer.from(GO_MOD)]];

/** A change of a number at an offset from the first record with a signature. */
function patched(signature: number, offset: number, value: number, size: 2 | 4 = 2, zip = makeZip(plain())): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32LE(signature);
  const at = zip.indexOf(head) + offset;
  zip.writeUIntLE(value, at, size);
  return zip;
}
const CENTRAL = 0x02014b50;
const LOCAL = 0x04034b50;
const END = 0x06054b50;

describe('h1', () => {
  it('sums up a zip as go does', async () => {
    const zip = makeZip(plain());
    expect(await sums(zip)).toEqual({ hash: dirHash(plain()), goModHash: hashGoMod(Buffer.from(GO_MOD)) });
    // rsc.io/quote v1.5.2, as every go.sum has it.
    const quote = 'module "rsc.io/quote"\n\nrequire "rsc.io/sampler" v1.3.0\n';
    expect(hashGoMod(Buffer.from(quote))).toBe('h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0=');
  });

  it('does not depend on order, and takes large, empty and oddly named files', async () => {
    const big = Buffer.alloc(9 * 1024 * 1024, 'abcdefg');
    const odd: Files = [
      ...files('Ünïcode.txt', 'with space', 'é/b', 'a+b=c'),
      [`${PREFIX}big`, big],
      [`${PREFIX}empty`, Buffer.alloc(0)],
    ];
    expect((await sums(makeZip(odd))).hash).toBe(dirHash(odd));
    expect((await sums(makeZip([...odd].reverse()))).hash).toBe(dirHash(odd));
  });

  it('takes what go takes: no file, names that begin with a hyphen, a folder twice, UTF-8 without its flag', async () => {
    // golang.org/x/mod/zip, testdata/unzip/empty.txt
    expect((await sums(makeZip([]))).hash).toBe('h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=');
    const odd = files('-', '-x/-y.go', 'a/-', 'go.mod/a.go');
    expect((await sums(makeZip(odd))).hash).toBe(dirHash(odd));
    const folder = [`${PREFIX}d/`, Buffer.alloc(0)] as const;
    expect((await sums(makeZip([folder, folder, ...odd]))).hash).toBe(dirHash([folder, folder, ...odd]));
    const beyond = files('\u00e9');
    expect((await sums(patched(CENTRAL, 8, 0, 2, makeZip(beyond)))).hash).toBe(dirHash(beyond));
  });

  it('takes a zip64, and one with data descriptors, as go writes it', async () => {
    expect((await sums(zip64())).hash).toBe(dirHash(plain()));
    expect((await sums(described())).hash).toBe(dirHash(plain()));
  });

  it.each(['module a.b/c', '\ufeffmodule a.b/c\r\n', '', 'module "a"\n\n// x'])(
    'sums up the go.mod %j as it is',
    async (text) => {
      const goMod = Buffer.from(text);
      expect((await sums(makeZip([[`${PREFIX}go.mod`, goMod]]))).goModHash).toBe(hashGoMod(goMod));
    },
  );

  it('takes as many files as the old format can count', async () => {
    const many: Files = Array.from({ length: 65_534 }, (_, at) => [`${PREFIX}f${at}`, Buffer.of(at & 255)] as const);
    expect((await sums(makeZip(many))).hash).toBe(dirHash(many));
  });

  const entry = (name: string): Buffer => makeZip([...plain(), [name, Buffer.from('x')]]);
  const ROWS: readonly (readonly [string, () => Buffer])[] = [
    ['nothing', () => Buffer.alloc(0)],
    ['a page', () => Buffer.from('<html>Sign in</html>')],
    ['a zip that is cut short', () => makeZip(plain()).subarray(0, -30)],
    ['bytes before the first file', () => Buffer.concat([Buffer.from('junk'), makeZip(plain())])],
    ['bytes after the end', () => Buffer.concat([makeZip(plain()), Buffer.from('junk')])],
    [
      'a second end in the comment',
      () => {
        const zip = makeZip(plain());
        const comment = makeZip([]);
        zip.writeUInt16LE(comment.length, zip.length - 2);
        return Buffer.concat([zip, comment]);
      },
    ],
    [
      'a local name that differs',
      () => {
        const zip = makeZip(plain());
        zip.write('X', zip.indexOf('a.go'));
        return zip;
      },
    ],
    ['a wrong CRC', () => patched(CENTRAL, 16, 1, 4)],
    ['a size that is too small', () => patched(CENTRAL, 24, 3, 4)],
    ['a size that is too large', () => patched(CENTRAL, 24, 300, 4)],
    ['a packed size that overlaps the next file', () => patched(CENTRAL, 20, 90, 4)],
    ['two files in one place', () => overlap()],
    ['an encrypted file', () => patched(CENTRAL, 8, 0x801)],
    ['an encrypted local header', () => patched(LOCAL, 6, 0x801)],
    ['an unknown method', () => patched(CENTRAL, 10, 12)],
    ['another method in the local header', () => patched(LOCAL, 8, 0)],
    ['a symbolic link', () => patched(CENTRAL, 38, 0xa1ff0000, 4, patched(CENTRAL, 4, 0x0314))],
    ['a wrong count of files', () => patched(END, 10, 2, 2, patched(END, 8, 2))],
    ['one name twice', () => makeZip([...plain(), ...files('a.go')])],
    ['another prefix', () => entry('example.com/m@v1.0.1/a')],
    ['no prefix', () => entry('a')],
    ['a step up', () => entry(`${PREFIX}../a`)],
    ['an absolute name', () => entry('/etc/passwd')],
    ['an empty element', () => entry(`${PREFIX}a//b`)],
    ['a dot element', () => entry(`${PREFIX}./a`)],
    ['a backslash', () => entry(`${PREFIX}a\\b`)],
    ['a NUL', () => entry(`${PREFIX}a\0b`)],
    ['a newline', () => entry(`${PREFIX}a\nb`)],
    ['a colon', () => entry(`${PREFIX}a:b`)],
    ['a device name', () => entry(`${PREFIX}con.txt`)],
    ['a trailing dot', () => entry(`${PREFIX}a.`)],
    ['names that differ by case', () => entry(`${PREFIX}A.go`)],
    ['names that differ by a Kelvin sign', () => makeZip(files('k.go', '\u212a.go'))],
    ['folders that differ by case', () => entry(`${PREFIX}B/d.go`)],
    ['a file that is also a folder', () => entry(`${PREFIX}a.go/x`)],
    ['a nested go.mod', () => entry(`${PREFIX}sub/go.mod`)],
    ['a GO.MOD', () => makeZip(files('a.go', 'GO.MOD'))],
    ['a go.mod beyond 16 MiB', () => makeZip([[`${PREFIX}go.mod`, Buffer.alloc(16 * 1024 * 1024 + 1)]])],
    ['a LICENSE beyond 16 MiB', () => makeZip([[`${PREFIX}LICENSE`, Buffer.alloc(16 * 1024 * 1024 + 1)]])],
    ['a size beyond 500 MiB', () => patched(CENTRAL, 24, 500 * 1024 * 1024 + 1, 4)],
    ['a bomb', () => bomb(3)],
    ['a large bomb', () => bomb(9 * 1024 * 1024)],
    ['a name that is not UTF-8', () => renamed(Buffer.from([0xff, 0xfe]))],
    ['another count in the zip64 end', () => zip64({ count: 4 })],
    ['a zip64 end that is elsewhere', () => zip64({ at: 3 })],
    ['a part of a split zip', () => patched(END, 4, 1)],
  ];

  it.each(ROWS)('refuses %s', async (_, make) => {
    await expect(sums(make())).rejects.toThrow(ZipError);
  });

  /** `plain` with the end that large zips have; `count` and `at` are off by so much. */
  function zip64({ count = 0, at = 0 } = {}): Buffer {
    const zip = makeZip(plain());
    const end = Buffer.from(zip.subarray(-22));
    const record = Buffer.alloc(56);
    record.writeUInt32LE(0x06064b50, 0);
    record.writeBigUInt64LE(44n, 4);
    for (const place of [24, 32]) record.writeBigUInt64LE(BigInt(end.readUInt16LE(10) + count), place);
    record.writeBigUInt64LE(BigInt(end.readUInt32LE(12)), 40);
    record.writeBigUInt64LE(BigInt(end.readUInt32LE(16)), 48);
    const locator = Buffer.alloc(20);
    locator.writeUInt32LE(0x07064b50, 0);
    locator.writeBigUInt64LE(BigInt(zip.length - 22 + at), 8);
    locator.writeUInt32LE(1, 16);
    end.fill(0xff, 8, 20);
    return Buffer.concat([zip.subarray(0, -22), record, locator, end]);
  }

  /** `plain`, with sums and sizes behind the bytes of each file instead of before them. */
  function described(): Buffer {
    const parts: Buffer[] = [];
    const directory: Buffer[] = [];
    let offset = 0;
    for (const file of plain()) {
      const zip = makeZip([file]);
      const start = zip.readUInt32LE(zip.length - 6);
      const [local, central] = [zip.subarray(0, start), zip.subarray(start, -22)];
      const descriptor = Buffer.concat([Buffer.from('PK\x07\x08'), local.subarray(14, 26)]);
      local.fill(0, 14, 26);
      local.writeUInt16LE(0x808, 6);
      central.writeUInt16LE(0x808, 8);
      central.writeUInt32LE(offset, 42);
      parts.push(local, descriptor);
      directory.push(central);
      offset += local.length + descriptor.length;
    }
    const end = Buffer.from(makeZip(plain()).subarray(-22));
    end.writeUInt32LE(offset, 16);
    return Buffer.concat([...parts, ...directory, end]);
  }

  /** A file that says it has `size` bytes, and unpacks to 64 MiB. */
  function bomb(size: number): Buffer {
    return patched(CENTRAL, 24, size, 4, makeZip([[`${PREFIX}zeros`, Buffer.alloc(64 * 1024 * 1024)]]));
  }

  /** A file whose name ends in these bytes. */
  function renamed(bytes: Buffer): Buffer {
    const zip = makeZip(files('ab'));
    for (const at of [zip.indexOf('ab'), zip.lastIndexOf('ab')]) bytes.copy(zip, at);
    return zip;
  }

  function overlap(): Buffer {
    const zip = makeZip(plain());
    const second = zip.lastIndexOf(Buffer.from([0x50, 0x4b, 1, 2]));
    zip.writeUInt32LE(0, second + 42);
    return zip;
  }

  it('refuses whatever a flipped bit makes of a zip, or sums up the same', async () => {
    const zip = makeZip(plain());
    const { hash } = await sums(zip);
    let refused = 0;
    for (let bit = 0; bit < zip.length * 8; bit += 7) {
      const broken = Buffer.from(zip);
      broken[bit >> 3] = (broken[bit >> 3] as number) ^ (1 << (bit & 7));
      const found = await sums(broken).catch((error: unknown) => error);
      if (found instanceof Error) {
        expect(found).toBeInstanceOf(ZipError);
        refused += 1;
      } else expect(found).toMatchObject({ hash });
    }
    expect(refused).toBeGreaterThan((zip.length * 8) / 7 / 3);
  });
});
