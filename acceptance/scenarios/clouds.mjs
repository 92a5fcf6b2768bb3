import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Azurite, AZURITE_MISSING } from '@entrepot/fixtures/azurite';
import { FAKE_GCS_MISSING, FakeGcs } from '@entrepot/fixtures/fake-gcs';
import { get } from '@entrepot/fixtures/get';
import { Origin } from '@entrepot/fixtures/origin';
import { runCommand } from '@entrepot/fixtures/run-command';
import { withScratch } from '@entrepot/fixtures/scratch';
import { EntrepotServer, freePort, MAIN } from '../servers/entrepot.mjs';
import { note } from '../tally.mjs';

/** @import { Tally } from '../tally.mjs' */

const FILES = 12;
const PREFIX = 'space/blobs';

/**
 * A cloud: its emulator, and the configuration for it.
 * @typedef {{ names(prefix: string): Promise<string[]>, write(name: string, bytes: Buffer): Promise<void>, stop(): Promise<void> }} Emulator
 * @typedef {{ name: string, emulator: Emulator, storage: Record<string, unknown>, env: Record<string, string>, lost: Record<string, string> }} Cloud
 */

/**
 * Blobs in the stores of two clouds, as their emulators have them: collection, and verification that heals.
 * @param {Tally} tally
 */
export async function clouds(tally) {
  await azure(tally);
  const program = FakeGcs.program();
  if (program === undefined) return note(`clouds: ${FAKE_GCS_MISSING.slice(2)}`);
  const gcs = await FakeGcs.start(program);
  await cloud(tally, {
    name: 'gcs',
    emulator: gcs,
    storage: { backend: 'gcs', bucket: gcs.bucket, endpoint: gcs.endpoint, anonymous: true, prefix: PREFIX },
    env: {},
    lost: { bucket: 'not-there' },
  });
}

/** @param {Tally} tally */
async function azure(tally) {
  const program = Azurite.program();
  if (program === undefined) return note(`clouds: ${AZURITE_MISSING.slice(2)}`);
  const azurite = await Azurite.start(program);
  const { account, container, endpoint } = azurite;
  await cloud(tally, {
    name: 'azure',
    emulator: azurite,
    storage: { backend: 'azure', account, container, endpoint, accountKey: '${env:AZURE_KEY}', prefix: PREFIX },
    env: { AZURE_KEY: azurite.accountKey },
    lost: { container: 'not-there' },
  });
}

/** @param {Tally} tally @param {Cloud} cloud */
async function cloud(tally, cloud) {
  try {
    await withScratch(cloud.name, (folder) => serve(tally, cloud, folder));
  } finally {
    await cloud.emulator.stop();
  }
}

/** @param {Tally} tally @param {Cloud} cloud @param {string} scratch */
async function serve(tally, { name, emulator, storage, env, lost }, scratch) {
  const folder = join(scratch, 'server');
  await mkdir(folder);
  const origin = await new Origin((request, response) => response.end(bodyOf(`origin ${request.url}`))).start();
  const repositories = {
    files: { type: 'files', upstream: origin.url, rules: [{ match: '**', policy: 'immutable' }] },
    hosted: { type: 'files', kind: 'hosted', overwrite: true },
  };
  const more = { storage: { ...storage, gc: { grace: '0s' } } };
  const server = new EntrepotServer({ folder, port: await freePort(), repositories, env, more });
  /** The bytes that clients must get. @type {Map<string, Buffer>} */
  const expected = new Map();
  const blobs = () => emulator.names(`${PREFIX}/v1/`);
  try {
    if (!(await tally.check(`${name}: the server starts`, () => server.start()))) return;
    await tally.check(`${name}: files are fetched, uploaded and overwritten`, async () => {
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
    await tally.check(`${name}: what nobody needs is deleted beside the server, and nothing else`, async () => {
      // The first run condemns, and deletes what was condemned before.
      await entrepot(folder, env, ['gc']);
      const { stdout } = await entrepot(folder, env, ['gc', '--reconcile']);
      assert.equal((await blobs()).length, expected.size, stdout);
      await assertAll(server, expected);
    });
    await tally.check(`${name}: verify finds what is damaged, sets it aside, and has it fetched again`, async () => {
      // A server that has nothing in memory.
      await server.stop();
      await server.start();
      for (const path of ['/files/1', '/hosted/1']) {
        const body = /** @type {Buffer} */ (expected.get(path));
        await emulator.write(nameOf(body), Buffer.alloc(body.length, 'torn'));
      }
      const { code, stdout } = await entrepot(folder, env, ['verify', '--rate', '100MiB'], [1]);
      assert.match(stdout, /2 damaged, 0 missing\nhealed 1\n/);
      assert.match(stdout, /lost in hosted repositories until they are uploaded again: 1/);
      assert.equal(code, 1);
      assert.equal((await emulator.names(`${PREFIX}/damaged/`)).length, 2);
      const body = /** @type {Buffer} */ (expected.get('/hosted/1'));
      assert.ok((await get(`${server.url}/hosted/1`)).status >= 500);
      assert.ok((await get(`${server.url}/hosted/1`, { method: 'PUT', body })).status < 300);
      await entrepot(folder, env, ['verify', '--rate', '100MiB']);
      await assertAll(server, expected);
    });
    await tally.check(`${name}: a server whose bucket is not there does not start, and says what to set`, async () => {
      const other = { storage: { ...storage, ...lost } };
      const nobody = new EntrepotServer({ folder, port: await freePort(), repositories, env, more: other });
      await assert.rejects(nobody.start(), /there is no (bucket|container) not-there .*storage\.(bucket|container)/);
    });
    await tally.check(`${name}: the server stops with 0`, () => server.stop());
  } finally {
    await server.kill();
    await origin.stop();
  }
}

/** The name of a blob. @param {Buffer} bytes */
function nameOf(bytes) {
  const hex = createHash('sha256').update(bytes).digest('hex');
  return `${PREFIX}/v1/sha256/${hex.slice(0, 2)}/${hex}`;
}

/** @param {EntrepotServer} server @param {ReadonlyMap<string, Buffer>} expected */
async function assertAll(server, expected) {
  for (const [path, body] of expected) {
    const found = await get(server.url + path);
    assert.ok(found.status === 200 && found.body.equals(body), `${path}: ${found.status}, ${found.body.length} bytes`);
  }
}

/**
 * Runs a command on the stores of a server.
 * @param {string} folder
 * @param {Record<string, string>} more
 * @param {readonly string[]} words
 * @param {readonly number[]} codes that it may end with
 */
async function entrepot(folder, more, words, codes = [0]) {
  const options = { cwd: folder, env: { ...process.env, ...more }, timeout: 60_000 };
  const result = await runCommand([process.execPath, MAIN, ...words], options);
  assert.ok(codes.includes(Number(result.code)), `${words.join(' ')}: ${result.stdout}${result.stderr}`);
  return result;
}

/** Bytes that a name stands for: 1 KB, or 700 KB, which is not held in memory. @param {string} name */
function bodyOf(name) {
  const hash = createHash('sha256').update(name).digest();
  return Buffer.alloc((hash[0] ?? 0) < 64 ? 700_000 : 1_000, hash);
}
