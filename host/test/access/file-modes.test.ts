import { once } from 'node:events';
import { readdirSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { basic, startHost } from './server.js';

describe('what is kept', () => {
  it('is for the user of the server alone: files and folders, database and uploads', async () => {
    const upstream = createServer((_, response) => response.end('a file'));
    upstream.listen(0, '127.0.0.1');
    await once(upstream, 'listening');
    onTestFinished(() => void upstream.close());
    const { port } = upstream.address() as AddressInfo;
    const { folder, get } = await startHost(
      `repositories:
  mirror: { type: files, upstream: "http://127.0.0.1:${port}" }
  images: { type: oci, kind: hosted }
  guarded: { type: files, kind: hosted, access: { users: { ann: { password: "\${env:ANN}", may: write } } } }`,
      {},
      { ANN: 'of ann' },
    );
    expect((await get('/mirror/a.txt')).status).toBe(200);
    expect((await get('/guarded/b.txt', basic('ann', 'of ann'), { method: 'PUT', body: 'b' })).status).toBe(201);
    expect((await get('/v2/images/x/blobs/uploads/', undefined, { method: 'POST' })).status).toBe(202);

    const data = join(folder, 'data');
    const names = ['.', ...readdirSync(data, { recursive: true }).map(String)];
    expect(names).toEqual(
      expect.arrayContaining(['blobs', 'entrepot.db', 'entrepot.db-wal', 'admin.token', 'token.key']),
    );
    expect(names.some((name) => /sha256.[0-9a-f]{2}.[0-9a-f]{64}$/.test(name))).toBe(true);
    const open = names.filter((name) => (statSync(join(data, name)).mode & 0o077) !== 0);
    expect(open).toEqual([]);
  });
});
