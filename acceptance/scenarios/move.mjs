import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { get } from '@entrepot/fixtures/get';
import { Origin } from '@entrepot/fixtures/origin';
import { withScratch } from '@entrepot/fixtures/scratch';
import { builtTool } from '@entrepot/fixtures/tools';
import { EntrepotCommand, EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { withPostgres } from '../servers/postgres.mjs';
import { S3Server } from '../servers/s3.mjs';
import { note } from '../tally.mjs';

/** @import { Tally } from '../tally.mjs' */

/**
 * A server moves from a folder and SQLite to S3 and PostgreSQL while clients upload; the commands are killed again and again. In the end
 * everything is served from there, and the server does not start any more where it was.
 * @param {Tally} tally
 * @param {{ kills: number, files: number }} options of each command
 */
export async function move(tally, { kills, files }) {
  const program = builtTool('versitygw');
  if (program === undefined) {
    note('move: versitygw is not on this machine (node acceptance/install-tools.mjs): the scenario is left out');
    return;
  }
  const isThere = await withPostgres('moved', (url) =>
    withScratch('move', (folder) => moveTo(tally, { program, url, folder, kills, files })),
  );
  if (!isThere) note('move: PostgreSQL is not on this machine: the scenario is left out');
}

/**
 * @param {Tally} tally
 * @param {{ program: string, url: string, folder: string, kills: number, files: number }} options
 */
async function moveTo(tally, { program, url, folder, kills, files }) {
  const bucket = new S3Server(program, join(folder, 's3'));
  const origin = await new Origin((request, response) => response.end(bodyOf(`origin ${request.url}`))).start();
  const repositories = {
    files: { type: 'files', upstream: origin.url, rules: [{ match: '**', policy: 'immutable' }] },
    hosted: { type: 'files', kind: 'hosted', overwrite: true },
  };
  await bucket.start();
  const { env } = bucket;
  const [old, then] = [join(folder, 'old'), join(folder, 'then')];
  await Promise.all([mkdir(old), mkdir(then)]);
  const metadata = { backend: 'postgres', url };
  const before = new EntrepotServer({ folder: old, port: await freePort(), repositories });
  const more = { storage: bucket.storage('moved'), metadata };
  const after = new EntrepotServer({ folder: then, port: await freePort(), repositories, env, more });
  // The blobs are moved first: until the tables are, the new storage goes with the old database.
  const [from, to] = [join(old, 'entrepot.yaml'), join(then, 'to.yaml')];
  await writeFile(to, JSON.stringify(more));
  /** @param {readonly string[]} words */
  const command = (words) => new EntrepotCommand([...words], folder, env);
  const copied = async () => (await readdir(bucket.folderOf('moved'), { recursive: true }).catch(() => [])).length;
  /** The bytes that clients must get. @type {Map<string, Buffer>} */
  const expected = new Map();
  let uploads = 0;
  const upload = async () => {
    uploads += 1;
    const body = bodyOf(`upload ${uploads}`);
    const answer = await get(`${before.url}/hosted/${uploads}`, { method: 'PUT', body });
    assert.ok(answer.status < 300, `PUT: ${answer.status}`);
    expected.set(`/hosted/${uploads}`, body);
  };
  try {
    if (!(await tally.check('move: the server starts', () => before.start()))) return;
    await tally.check(`move: ${files} files are uploaded and fetched`, async () => {
      for (let number = 0; number < files / 2; number += 1) {
        await upload();
        const body = bodyOf(`origin /${number}`);
        assert.ok((await get(`${before.url}/files/${number}`)).body.equals(body));
        expected.set(`/files/${number}`, body);
      }
    });
    await tally.check(`move: blobs are copied beside uploads, by a command that is killed ${kills} times`, async () => {
      for (let kill = 0; kill < kills; kill += 1) {
        const running = command(['copy-storage', from, to, '--prepare']);
        const had = await copied();
        const isOver = running.end();
        while ((await copied()) < had + files / (2 * kills)) {
          if (await Promise.race([isOver.then(() => true), delay(20, false)])) break;
        }
        await upload();
        running.kill();
        await isOver;
      }
      await upload();
      assert.ok(await command(['copy-storage', from, to, '--prepare']).end());
      await upload();
    });
    await tally.check('move: nothing starts on a copy that is not finished', async () => {
      await assert.rejects(after.start(), /is a copy that is not finished/);
    });
    await tally.check('move: tables are copied beside uploads, and once more when the server has ended', async () => {
      assert.ok(await command(['copy-metadata', from, to, '--prepare']).end());
      await upload();
      await before.stop();
      assert.ok(await command(['copy-storage', from, to]).end());
      for (let kill = 0; kill < kills; kill += 1) {
        const running = command(['copy-metadata', from, to]);
        const isOver = running.end();
        // Into its start, or into its work.
        await Promise.race([isOver, delay(300 + 100 * kill)]);
        running.kill();
        if (await isOver) return;
      }
      assert.ok(await command(['copy-metadata', from, to]).end());
    });
    await tally.check('move: everything is served from there', async () => {
      await after.start();
      await origin.stop();
      for (const [path, body] of expected) {
        const found = await get(after.url + path);
        assert.ok(found.status === 200 && found.body.equals(body), `${path}: ${found.status}`);
      }
      note(`move: ${expected.size} files, ${uploads} of them uploaded`);
    });
    await tally.check('move: the server does not start any more where it was', async () => {
      await assert.rejects(before.start(), /was moved to/);
    });
    await tally.check('move: the server stops with 0', () => after.stop());
  } finally {
    await before.kill();
    await after.kill();
    await bucket.kill();
    await origin.stop();
  }
}

/** Bytes that a name stands for: 1 KB, or 700 KB, which is not held in memory. @param {string} name */
function bodyOf(name) {
  const hash = createHash('sha256').update(name).digest();
  return Buffer.alloc((hash[0] ?? 0) < 16 ? 700_000 : 1_000, hash);
}
