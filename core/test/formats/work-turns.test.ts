import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { slices, sortedInTurns, WorkTurns } from '../../src/formats/index.js';
import { pick } from '@entrepot/fixtures/random-json';
import { pseudoRandom } from '../../src/testing/index.js';

it('sort any values as toSorted does, equal ones in their order', async () => {
  const random = pseudoRandom(43);
  for (const length of [0, 1, 2, 511, 512, 513, 5_000]) {
    const values = Array.from({ length }, (_, place) => ({ key: Math.floor(random() * 50), place }));
    const compare = (one: { readonly key: number }, other: { readonly key: number }): number => one.key - other.key;
    expect(await sortedInTurns(values, compare)).toEqual(values.toSorted(compare));
  }
});

it('give the same bytes, in pieces that are small', async () => {
  const random = pseudoRandom(47);
  const chunks = Array.from({ length: 20 }, () =>
    Buffer.alloc(pick(random, [0, 1, 65_536, 65_537, 300_000]), pick(random, ['a', 'b'])),
  );
  const found: Buffer[] = [];
  const source = (async function* () {
    yield* chunks;
  })();
  for await (const slice of slices(source)) found.push(slice);
  expect(Math.max(...found.map(({ length }) => length))).toBe(65_536);
  expect(Buffer.concat(found).equals(Buffer.concat(chunks))).toBe(true);
});

it('let others run once a turn is over, and not before', async () => {
  let ran = false;
  void setImmediate().then(() => (ran = true));
  const turns = new WorkTurns();
  await turns.pause();
  const end = performance.now() + 5;
  while (performance.now() < end);
  expect(turns.over).toBe(true);
  await turns.pause();
  expect([ran, turns.over]).toEqual([true, false]);
});
