import { describe, expect, it } from 'vitest';
import { TarError, TarReader, type TarLimits } from '../../src/formats/index.js';
import { pick } from '@entrepot/fixtures/random-json';
import { packTar, paxRecord, pseudoRandom, type TarMember } from '../../src/testing/index.js';
import { fuzzAsync, piecesOf } from './fuzz.js';

const LIMITS: TarLimits = { files: 100, fileBytes: 10_000, bytes: 1_000_000 };

/** All files with their content, or what is wrong. */
async function read(pieces: Iterable<Uint8Array>, limits = LIMITS): Promise<unknown[]> {
  const found: unknown[] = [];
  const reader = new TarReader(streamOf(pieces), limits);
  try {
    for await (const { name, kind, size } of reader.files()) {
      // Every other one is passed over.
      const content = found.length % 2 === 0 ? (await reader.content()).toString('base64') : size;
      found.push([name, kind, content]);
    }
  } catch (error) {
    if (!(error instanceof TarError)) throw error;
    found.push(error.message);
  }
  return found;
}

async function* streamOf(pieces: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* pieces;
}

describe('the reader of tar archives', () => {
  it('gives files and folders in their order, with long names', async () => {
    const long = `${'folder/'.repeat(30)}file`;
    const archive = packTar([
      { name: 'a/', type: '5' },
      { name: 'a/b', content: 'text' },
      { name: 'p', type: 'x', content: paxRecord('path', long) },
      { name: 'short', content: 'x' },
      { name: 'long', type: 'L', content: `${long}\0` },
      { name: 'short', content: 'y' },
    ]);
    expect(await read([archive])).toEqual([
      ['a/', 'folder', ''],
      ['a/b', 'file', 4],
      [long, 'file', Buffer.from('x').toString('base64')],
      [long, 'file', 1],
    ]);
  });

  it.each<[string, readonly TarMember[], TarLimits, RegExp]>([
    ['a link', [{ name: 'a', type: '2' }], LIMITS, /files and folders alone/],
    ['a large file', [{ name: 'a', size: 10_001 }], LIMITS, /10000 bytes at most/],
    ['many files', [{ name: 'a' }, { name: 'b' }], { ...LIMITS, files: 1 }, /1 files at most/],
    ['much of it', [{ name: 'a', content: Buffer.alloc(5000) }], { ...LIMITS, bytes: 4096 }, /4096 bytes at most/],
  ])('refuses %s', async (_, members, limits, message) => {
    expect((await read([packTar(members)], limits)).at(-1)).toMatch(message);
  });

  it('finds the same in any bytes wherever the pieces end, and throws nothing but its own error', async () => {
    const random = pseudoRandom(19);
    const outcomes = { whole: 0, refused: 0 };
    const sample = (): Buffer =>
      packTar(
        Array.from({ length: 1 + Math.floor(random() * 4) }, (): TarMember => {
          const type = pick(random, ['0', '0', '5', 'x', 'L', 'g']);
          const content = type === 'x' ? paxRecord('path', 'renamed') : 'x'.repeat(Math.floor(random() * 1200));
          return { name: pick(random, ['a', 'b/c', 'd/']), type, content: type === '5' ? '' : content };
        }),
      );
    await fuzzAsync(random, 1_500, sample, async (bytes) => {
      const expected = await read([bytes]);
      expect(await read(piecesOf(random, bytes))).toEqual(expected);
      outcomes[typeof expected.at(-1) === 'string' ? 'refused' : 'whole'] += 1;
    });
    expect(outcomes.whole).toBeGreaterThan(50);
    expect(outcomes.refused).toBeGreaterThan(500);
  });
});
