import { strict as assert } from 'node:assert';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { get } from '@entrepot/fixtures/get';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';
import { succeeded, withArchive } from '../servers/deb-scene.mjs';
import { MAIN } from '../servers/entrepot.mjs';
import { note } from '../tally.mjs';

/** @import { DebMirror } from '../servers/deb-mirror.mjs' */
/** @import { EntrepotServer } from '../servers/entrepot.mjs' */
/** @import { Tally } from '../tally.mjs' */

const POINTER = 'dists/stable/InRelease';
/** A root that is due is refreshed within this time, in milliseconds. */
const DUE = 40_000;

/**
 * Suites behind apt: refreshed when nobody asks and when an administrator says so; their states while a mirror fails; purged by their paths.
 * @param {Tally} tally
 */
export async function debRoots(tally) {
  const options = { refreshInterval: '1s' };
  await withArchive({ options, freshFor: '1h' }, async ({ archive, mirrors, server, apt }) => {
    const [mirror] = /** @type {[DebMirror]} */ (mirrors);
    archive.age = -60_000;
    archive.add('hello', '1.0');
    await archive.publish();
    await server.start();
    const client = await apt('client');
    await tally.check('deb: a suite is refreshed when nobody asks, and apt gets it without the archive', async () => {
      succeeded(await client.run('update'));
      archive.add('hello', '2.0');
      archive.age = -30_000;
      await archive.publish();
      const begun = performance.now();
      const wanted = String(archive.files.get(POINTER));
      while (String((await get(`${server.url}/debian/${POINTER}`)).body) !== wanted) {
        assert.ok(performance.now() - begun < DUE, `a refresh was expected within ${DUE} ms`);
        await delay(500);
      }
      note(`deb: a suite was refreshed by itself after ${Math.round(performance.now() - begun)} ms`);
      await mirror.stop();
      await client.forget();
      succeeded(await client.run('update'));
      await mirror.start();
    });
    await tally.check('deb: the command line lists, refreshes and purges a suite', async () => {
      archive.add('hello', '3.0');
      archive.age = 0;
      await archive.publish();
      const refreshed = await entrepot(server, 'refresh', 'debian', 'dists/stable');
      assert.match(refreshed.stdout, /^debian\/dists\/stable: active, generation [0-9a-f]{16}, published at /);
      await client.forget();
      succeeded(await client.run('update'));
      succeeded(await client.download('hello'));
      assert.deepEqual(await client.archives(), ['hello_3.0_all.deb']);
      assert.match((await entrepot(server, 'roots')).stdout, /^debian +dists\/stable +active /m);
      const { path } = archive.packages[0] ?? { path: '' };
      for (const what of [path, 'dists/stable']) {
        const purged = await entrepot(server, 'purge', `/debian/${what}`);
        assert.match(purged.stdout, /^removed [1-9]\d* entries/, outputOf(purged));
      }
      mirror.asked = [];
      await client.forget();
      succeeded(await client.run('update'));
      succeeded(await client.download('hello'));
      assert.ok(
        [POINTER, path].every((one) => mirror.asked.includes(one)),
        String(mirror.asked),
      );
    });
    await tally.check('deb: apt gets the last state while the mirror fails, and is told so', async () => {
      mirror.spoil = () => Buffer.from('<html>Log in to this network</html>');
      const failed = await entrepot(server, 'refresh', 'debian', 'dists/stable');
      assert.equal(failed.code, 1, outputOf(failed));
      assert.match(failed.stdout, /: suspect, generation /);
      const { headers } = await get(`${server.url}/debian/${POINTER}`);
      assert.equal(headers['x-cache-state'], 'suspect');
      await client.forget();
      succeeded(await client.run('update'));
      const metrics = String((await get(`${server.url}/metrics`)).body);
      assert.match(metrics, /^entrepot_repository_roots\{repository="debian",state="(?:suspect|blocked)"\} 1$/m);
    });
  });
  await withArchive({ byHash: true }, async ({ archive, mirrors, server, apt }) => {
    const [mirror] = /** @type {[DebMirror]} */ (mirrors);
    archive.add('hello', '1.0');
    await archive.publish();
    mirror.spoil = (path, bytes) => (path.includes('by-hash') ? undefined : bytes);
    await server.start();
    await tally.check(
      'deb: apt updates where a mirror announces index files by their sums and lacks them',
      async () => {
        const client = await apt('client');
        succeeded(await client.run('update'));
        succeeded(await client.download('hello'));
        assert.ok(mirror.asked.some((path) => path.includes('by-hash')));
      },
    );
    await tally.check('deb: no tunnel is opened for sources by https', async () => {
      const sent = request({ ...addressOf(server), method: 'CONNECT', path: '127.0.0.1:443' }).end();
      const outcome = await new Promise((resolve) => {
        sent.once('connect', ({ statusCode }, socket) => {
          socket.destroy();
          resolve(statusCode);
        });
        sent.once('error', (error) => resolve(error.message));
      });
      assert.notEqual(outcome, 200);
      note(`deb: CONNECT ends with: ${outcome}`);
      const client = await apt(
        'tunnelled',
        [`Acquire::https::Proxy=${server.url}`],
        'https://elsewhere.invalid/debian',
      );
      const result = await client.run('update');
      assert.match(result.stderr, /^[EW]: /m, outputOf(result));
      note(`deb: apt prints: ${/^[EW]: .*/m.exec(result.stderr)?.[0].slice(0, 300)}`);
    });
  });
}

/** @param {EntrepotServer} server */
function addressOf(server) {
  return { host: '127.0.0.1', port: server.port };
}

/** Runs the program, as a user of this machine. @param {EntrepotServer} server @param {readonly string[]} words */
async function entrepot(server, ...words) {
  const command = [process.execPath, MAIN, ...words, '--server', server.url];
  return await runCommand(command, { cwd: tmpdir(), env: process.env, timeout: 60_000 });
}
