import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { startCluster } from './support.js';

const NONE = 'http://127.0.0.1:1';
const LAYER = Buffer.alloc(300_000, 'the bytes of a layer, ');
const DIGEST = `sha256:${createHash('sha256').update(LAYER).digest('hex')}`;

/** Begins an upload. @returns the path of it */
async function begin(origin: string): Promise<string> {
  const answer = await fetch(`${origin}/v2/images/thing/blobs/uploads/`, { method: 'POST' });
  expect(answer.status).toBe(202);
  return new URL(answer.headers.get('location') as string, origin).pathname;
}

async function append(origin: string, path: string, bytes: Buffer, start: number) {
  const range = `${start}-${start + bytes.length - 1}`;
  const headers = { 'content-type': 'application/octet-stream', 'content-range': range };
  return await fetch(origin + path, { method: 'PATCH', headers, body: new Uint8Array(bytes) });
}

async function complete(origin: string, path: string) {
  return await fetch(`${origin}${path}?digest=${DIGEST}`, { method: 'PUT' });
}

describe('an upload in several requests', () => {
  it('may come to any server of a cluster, request by request', async () => {
    const { origins } = await startCluster(NONE, 3);
    const [one = '', two = '', three = ''] = origins;
    const path = await begin(one);
    expect((await append(two, path, LAYER.subarray(0, 100_000), 0)).headers.get('range')).toBe('0-99999');
    expect((await append(three, path, LAYER.subarray(100_000, 200_000), 100_000)).status).toBe(202);
    expect((await fetch(two + path)).headers.get('range')).toBe('0-199999');
    expect((await append(one, path, LAYER.subarray(200_000), 200_000)).status).toBe(202);
    expect((await complete(two, path)).status).toBe(201);
    for (const origin of origins) {
      const blob = await fetch(`${origin}/v2/images/thing/blobs/${DIGEST}`);
      expect(Buffer.from(await blob.arrayBuffer()).equals(LAYER)).toBe(true);
      expect((await fetch(origin + path)).status).toBe(404);
    }
  });

  it('tells what is wrong from any server', async () => {
    const { origins } = await startCluster(NONE, 2);
    const [one = '', two = ''] = origins;
    const path = await begin(one);
    await append(two, path, LAYER.subarray(0, 1_000), 0);
    const wrong = await append(two, path, LAYER.subarray(0, 1_000), 5_000);
    expect([wrong.status, wrong.headers.get('range')]).toEqual([416, '0-999']);
    expect((await fetch(two + path, { method: 'DELETE' })).status).toBe(204);
    expect((await append(one, path, LAYER.subarray(0, 10), 0)).status).toBe(404);
    expect((await append(two, path, LAYER.subarray(0, 10), 0)).status).toBe(404);
  });

  it('is found again after a time in which the database could not be reached', async () => {
    const { origins, database } = await startCluster(NONE, 2);
    const [one = '', two = ''] = origins;
    const path = await begin(one);
    expect((await append(two, path, LAYER.subarray(0, 1_000), 0)).status).toBe(202);
    await database.updateTable('flights').set({ until: 1 }).execute();
    expect((await fetch(two + path)).status).toBe(404);
    await expect.poll(async () => (await fetch(two + path)).headers.get('range'), { timeout: 10_000 }).toBe('0-999');
    expect((await fetch(two + path, { method: 'DELETE' })).status).toBe(204);
    const live = database.selectFrom('flights').select('name').where('address', 'is not', null);
    await expect.poll(() => live.execute()).toEqual([]);
  }, 15_000);
});
