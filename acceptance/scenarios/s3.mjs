import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { get } from '@entrepot/fixtures/get';
import { Origin } from '@entrepot/fixtures/origin';
import { runCommand } from '@entrepot/fixtures/run-command';
import { withScratch } from '@entrepot/fixtures/scratch';
import { builtTool } from '@entrepot/fixtures/tools';
import { EntrepotServer, freePort, MAIN } from '../servers/entrepot.mjs';
import { S3Server } from '../servers/s3.mjs';
import { note } from '../tally.mjs';
import { crash } from './crash.mjs';
import { s3Redirect } from './s3-redirect.mjs';

/** @import { Tally } from '../tally.mjs' */

const FILES = 30;
const PREFIX = 'space/blobs';

/**
 * Blobs in a bucket of a real server of S3: crashes, collection, and a server of S3 that goes away and comes back.
 * @param {Tally} tally
 * @param {{ rounds: number }} options the number of crashes
 */
export async function s3(tally, { rounds }) {
  const program = builtTool('versitygw');
  if (program === undefined) {
    note('s3: versitygw is not on this machine (node acceptance/install-tools.mjs): the scenario is left out');
    return;
  }
  await withScratch('s3', async (folder) => {
    const bucket = new S3Server(program, join(folder, 's3'));
    try {
      if (!(await tally.check('s3: the server of S3 starts', () => bucket.start()))) return;
      const { env } = bucket;
      const more = { storage: bucket.storage('crash') };
      // It asks the bucket for everything that it needs of it before it serves.
      await crash(tally, { rounds, over: ' over S3', more, env, restartWithin: 20_000 });
      await collection(tally, bucket, join(folder, 'server'));
      await s3Redirect(tally, bucket, join(folder, 'redirect'));
    } finally {
      await bucket.kill();
    }
  });
}

/** @param {Tally} tally @param {S3Server} bucket @param {string} folder */
async function collection(tally, bucket, folder) {
  await mkdir(folder);
  const origin = await new Origin((request, response) => response.end(bodyOf(`origin ${request.url}`))).start();
  const { env } = bucket;
  const repositories = {
    files: { type: 'files', upstream: origin.url, rules: [{ match: '**', policy: 'immutable' }] },
    hosted: { type: 'files', kind: 'hosted', overwrite: true },
  };
  const storage = { ...bucket.storage(PREFIX), gc: { grace: '0s' } };
  const server = new EntrepotServer({ folder, port: await freePort(), repositories, env, more: { storage } });
  /** The bytes that clients must get. @type {Map<string, Buffer>} */
  const expected = new Map();
  try {
    if (!(await tally.check('s3: the server starts', () => server.start()))) return;
    await tally.check('s3: files are fetched, uploaded and overwritten', async () => {
      for (let number = 0; number < FILES; number += 1) {
        expected.set(`/files/${number}`, bodyOf(`origin /${number}`));
        for (const version of ['first', 'second']) {
          const body = bodyOf(`${version} ${number}`);
          const answer = await get(`${server.url}/hosted/${number}`, { method: 'PUT', body });
          assert.ok(answer.status < 300, `PUT: ${answer.status}`);
          expected.set(`/hosted/${number}`, body);
        }
      }
      await assertAll(server, expected);
    });
    await tally.check('s3: what nobody needs is deleted beside the server, and nothing else', async () => {
      // The first run condemns, and deletes what was condemned before.
      await entrepot(folder, env, 'gc');
      const text = await entrepot(folder, env, 'gc');
      const objects = (await readdir(join(bucket.folderOf(PREFIX), 'v1', 'sha256'), { recursive: true })).filter(
        (name) => name.length > 64,
      );
      assert.equal(objects.length, expected.size, `the bucket has ${objects.length} blobs; ${text}`);
      await assertAll(server, expected);
    });
    await tally.check('s3: everything is there after a restart', async () => {
      await server.stop();
      await server.start();
      await assertAll(server, expected);
    });
    await tally.check('s3: a store that is away is an error, and nothing is missing when it is back', async () => {
      await server.kill();
      await server.start();
      await bucket.kill();
      for (const path of expected.keys()) {
        const { status } = await get(server.url + path);
        assert.ok(status >= 500, `${path}: an error was expected while the store is away, found ${status}`);
      }
      await bucket.start();
      // It is tried again every second.
      for (let left = 50; (await get(`${server.url}/files/0`)).status !== 200; left -= 1) {
        assert.ok(left > 0, 'the store is back, and is not asked');
        await delay(100);
      }
      await assertAll(server, expected);
    });
    await tally.check('s3: a server whose bucket is not there does not start, and says what to set', async () => {
      const other = { ...storage, bucket: 'not-there' };
      const lost = new EntrepotServer({ folder, port: await freePort(), repositories, env, more: { storage: other } });
      await assert.rejects(lost.start(), /there is no bucket not-there .*storage\.bucket/);
    });
    await tally.check('s3: the server stops with 0', () => server.stop());
  } finally {
    await server.kill();
    await origin.stop();
  }
}

/** @param {EntrepotServer} server @param {ReadonlyMap<string, Buffer>} expected */
async function assertAll(server, expected) {
  for (const [path, body] of expected) {
    const found = await get(server.url + path);
    assert.ok(found.status === 200 && found.body.equals(body), `${path}: ${found.status}, ${found.body.length} bytes`);
  }
}

/** Runs a command on the stores of a server. @param {string} folder @param {Record<string, string>} more @param {string} name */
async function entrepot(folder, more, name) {
  const options = { cwd: folder, env: { ...process.env, ...more }, timeout: 60_000 };
  const { code, stdout, stderr } = await runCommand([process.execPath, MAIN, name], options);
  assert.equal(code, 0, stderr);
  return stdout.trim();
}

/** Bytes that a name stands for: 1 KB, or 700 KB, which is not held in memory. @param {string} name */
function bodyOf(name) {
  const hash = createHash('sha256').update(name).digest();
  return Buffer.alloc((hash[0] ?? 0) < 64 ? 700_000 : 1_000, hash);
}
