import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';

const BUILT = pathToFileURL(resolve(import.meta.dirname, '../../dist/engine/request/request-head.js')).href;

/** Reads heads of many requests, none of which is kept. Prints by how many bytes the old generation has grown. */
const PROGRAM = `
  import { getHeapSpaceStatistics } from 'node:v8';
  import { requestHead } from ${JSON.stringify(BUILT)};
  class Request {
    method = 'GET';
    rawPath = '/a/b';
    rawQuery = '';
    held = new Array(50).fill(1);
    header(name) { return name === 'accept' ? 'text/plain' : this.held; }
  }
  const size = () => getHeapSpaceStatistics().find(({ space_name }) => space_name === 'old_space').space_used_size;
  const before = size();
  for (let round = 0; round < 300_000; round += 1) requestHead(new Request(), {}).header('accept');
  console.log(size() - before);
`;

it('lets requests go with the young generation, and promotes none of them', () => {
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', PROGRAM], { encoding: 'utf8' });
  expect(Number(output)).toBeLessThan(2 * 1024 * 1024);
});
