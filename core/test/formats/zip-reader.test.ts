import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ZipError, ZipReader } from '../../src/formats/index.js';
import { zip as packZip, type ZipMember } from '@entrepot/fixtures/zip';
import { pseudoRandom } from '../../src/testing/index.js';
import { fuzzAsync } from './fuzz.js';

const folder = mkdtempSync(join(tmpdir(), 'entrepot-zip-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** All files with their content, read in two ways, or what is wrong. */
async function read(source: string | Uint8Array): Promise<unknown[]> {
  const found: unknown[] = [];
  try {
    const zip = new ZipReader(source);
    try {
      for (const file of zip.files) {
        const pieces: Uint8Array[] = [];
        for await (const piece of zip.content(file)) pieces.push(piece);
        const content = Buffer.concat(pieces);
        expect(content.length).toBe(file.size);
        expect(content.equals(zip.whole(file) as Uint8Array)).toBe(true);
        found.push([file.name, content.toString('base64')]);
      }
    } finally {
      zip.close();
    }
  } catch (error) {
    if (!(error instanceof ZipError)) throw error;
    found.push('refused');
  }
  return found;
}

describe('the reader of zips', () => {
  it('gives files with their content, from a file and from memory', async () => {
    const files = [
      { name: 'a', content: 'text' },
      { name: 'folder/b', content: 'x'.repeat(100_000) },
    ];
    const zip = packZip(files);
    const path = join(folder, 'good.zip');
    writeFileSync(path, zip);
    const wanted = files.map(({ name, content }) => [name, Buffer.from(content).toString('base64')]);
    expect(await read(path)).toEqual(wanted);
    expect(await read(zip)).toEqual(wanted);
  });

  it('unpacks no more than is asked for', () => {
    const zip = new ZipReader(packZip([{ name: 'a', content: 'x'.repeat(1000) }]));
    const [file] = zip.files;
    expect([zip.whole(file!, 999), zip.whole(file!, 1000)?.length]).toEqual([undefined, 1000]);
  });

  it.each<[string, readonly ZipMember[]]>([
    [
      'two files of one name',
      [
        { name: 'a', content: '1' },
        { name: 'a', content: '2' },
      ],
    ],
    ['a file that is larger than it says', [{ name: 'a', content: 'x'.repeat(1000), claimed: 10 }]],
    ['a file that is smaller than it says', [{ name: 'a', content: 'x', claimed: 10 }]],
  ])('refuses %s', async (_, members) => expect(await read(packZip(members))).toContain('refused'));

  it('refuses whatever damage makes of a zip, or reads it the same from a file and from memory', async () => {
    const random = pseudoRandom(31);
    const outcomes = { whole: 0, refused: 0 };
    const sample = (): Buffer =>
      packZip(
        Array.from({ length: 1 + Math.floor(random() * 3) }, (_, at): ZipMember => ({
          name: `file-${at}`,
          content: 'abc'.repeat(Math.floor(random() * 200)),
        })),
      );
    const path = join(folder, 'damaged.zip');
    await fuzzAsync(random, 1_500, sample, async (bytes) => {
      writeFileSync(path, bytes);
      const expected = await read(bytes);
      expect(await read(path)).toEqual(expected);
      outcomes[expected.at(-1) === 'refused' ? 'refused' : 'whole'] += 1;
    });
    expect(outcomes.whole).toBeGreaterThan(50);
    expect(outcomes.refused).toBeGreaterThan(500);
  });
});
