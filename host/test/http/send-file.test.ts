import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { FileReader } from '../../src/drivers/blob/file-reader.js';
import { sendFile } from '../../src/http/send-file.js';

const SIZE = 1_000_000;
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Serves a file, to as many clients at once. @returns its URL and its sum */
async function serveFile(downloads: number): Promise<{ url: string; sum: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'entrepot-send-file-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'file');
  const bytes = randomBytes(SIZE);
  await writeFile(path, bytes);
  const waiting: (() => void)[] = [];
  const server = createServer((_request, response) => {
    void (async () => {
      const options = { range: { start: 0, end: SIZE - 1 }, pieceSize: 65_536 };
      const file = new FileReader(await open(path, 'r'), path, options);
      const everybody = new Promise<void>((resolve) => waiting.push(resolve));
      if (waiting.length === downloads) for (const begin of waiting.splice(0)) begin();
      await everybody;
      await sendFile(file, response, () => {});
      file.destroy();
      response.end();
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP address was expected');
  return { url: `http://127.0.0.1:${address.port}`, sum: sha256(bytes) };
}

it.each([1, 16, 40])('sends %i files at once out of the buffers of those before', async (downloads) => {
  const { url, sum } = await serveFile(downloads);
  const turn = async (): Promise<Set<string>> => {
    const answers = Array.from({ length: downloads }, async () =>
      sha256(new Uint8Array(await (await fetch(url)).arrayBuffer())),
    );
    return new Set(await Promise.all(answers));
  };
  expect(await turn()).toEqual(new Set([sum]));
  const made = vi.spyOn(Buffer, 'allocUnsafeSlow');
  onTestFinished(() => void made.mockRestore());
  expect(await turn()).toEqual(new Set([sum]));
  expect(made.mock.calls.filter(([size]) => size > 100_000)).toEqual([]);
});
