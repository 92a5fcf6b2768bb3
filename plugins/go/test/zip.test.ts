import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hashGoMod, hashZip } from '../src/dirhash.js';
import { ZipError } from '../src/zip-reader.js';
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
  return await hashZip(path, 'example.com/m', 'v1.0.0');
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

  it('takes more files than the old format can count', async () => {
    const many: Files = Array.from({ length: 65_534 }, (_, at) => [`${PREFIX}f${at}`, Buffer.of(at & 255)] as const);
    expect((await sums(makeZip(many))).hash).toBe(dirHash(many));
  });

  const entry = (name: string): Buffer => makeZip([...plain(), [name, Buffer.from('x')]]);
  const ROWS: readonly (readonly [string, () => Buffer])[] = [
    ['nothing', () => Buffer.alloc(0)],
    ['a page', () => Buffer.from('<html>Sign in</html>')],
    ['no file', () => makeZip([])],
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
  ];

  it.each(ROWS)('refuses %s', async (_, make) => {
    await expect(sums(make())).rejects.toThrow(ZipError);
  });

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
