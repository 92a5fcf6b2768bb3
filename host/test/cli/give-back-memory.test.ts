import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';

const BUILT = pathToFileURL(resolve(import.meta.dirname, '../../dist/cli/give-back-memory.js')).href;

/** Fills the young generation with what lives long enough to grow it. Prints its size in bytes, before and after. */
const PROGRAM = `
  import { getHeapSpaceStatistics } from 'node:v8';
  import { giveBackMemory } from ${JSON.stringify(BUILT)};
  const size = () => getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space').physical_space_size;
  let kept = [];
  for (let round = 0; round < 400; round += 1) {
    kept.push(Array.from({ length: 2000 }, (_, at) => ({ at })));
    if (kept.length > 50) kept = kept.slice(25);
  }
  const before = size();
  giveBackMemory();
  console.log(JSON.stringify([before, size(), typeof globalThis.gc]));
`;

it('shrinks the young generation that has grown', () => {
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', PROGRAM], { encoding: 'utf8' });
  const [before, after, exposed] = JSON.parse(output) as [number, number, string];
  expect(before).toBeGreaterThan(8 * 1024 * 1024);
  expect(after).toBeLessThan(2 * 1024 * 1024);
  expect(exposed).toBe('undefined');
});
