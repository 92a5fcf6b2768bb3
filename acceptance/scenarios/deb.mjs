import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { sha256 } from '@entrepot/fixtures/deb-archive';
import { get } from '@entrepot/fixtures/get';
import { outputOf } from '@entrepot/fixtures/run-command';
import { Apt } from '@entrepot/fixtures/apt';
import { SlowReader } from '../clients/slow-reader.mjs';
import { succeeded, withArchive } from '../servers/deb-scene.mjs';
import { note } from '../tally.mjs';
import { debPolicy } from './deb-policy.mjs';
import { debRaces } from './deb-race.mjs';
import { debRoots } from './deb-roots.mjs';

/** @import { Tally } from '../tally.mjs' */
/** @import { Scene } from '../servers/deb-scene.mjs' */
/** @import { DebMirror } from '../servers/deb-mirror.mjs' */

const POLICY = { rules: [{ id: 'no-world', match: { purl: ['pkg:deb/debian-12/earth'] }, action: 'deny' }] };

/**
 * The apt of this machine behind a proxy of a signed archive: by names and by sums, without the archive, while that is being changed, with
 * mirrors that are wrong, and with a policy.
 * @param {Tally} tally
 * @param {{ rounds: number, clients: number, megabytes: number, peerRounds: number }} size of the race, and of the package that many want at once
 */
export async function deb(tally, { rounds, clients, megabytes, peerRounds }) {
  if (!(await Apt.isThere())) {
    note('no apt-get, gpgv or xz on this machine: deb is left out');
    return;
  }
  await usual(tally, megabytes);
  await debPolicy(tally);
  await debRoots(tally);
  await poisoned(tally);
  await debRaces(tally, { rounds, clients, peerRounds });
}

/** @param {Tally} tally @param {number} megabytes */
async function usual(tally, megabytes) {
  await withArchive({ more: { policy: POLICY }, isXz: true }, async ({ archive, mirrors, server, apt }) => {
    const [mirror] = /** @type {[DebMirror]} */ (mirrors);
    archive.add('hello', '1.0');
    archive.add('large', '1.0', { size: megabytes * 1024 * 1024 });
    // More than the buffers of connections hold.
    archive.add('vast', '1.0', { size: Math.max(megabytes, 32) * 1024 * 1024 });
    archive.add('world', '2.0', { source: 'earth (1.9)' });
    await archive.publish();
    await server.start();
    const ways = { 'by sums': [], 'by names': ['Acquire::By-Hash=no'] };
    for (const [way, options] of Object.entries(ways)) {
      await tally.check(`deb: apt updates and downloads, index files ${way}`, async () => {
        const client = await apt(`client ${way}`.replaceAll(' ', '-'), options);
        succeeded(await client.run('update'));
        succeeded(await client.download('hello'));
        assert.deepEqual(await client.archives(), ['hello_1.0_all.deb']);
      });
    }
    await tally.check('deb: apt uses the server as its proxy, for the upstream and no other host', async () => {
      const options = [`Acquire::http::Proxy=${server.url}`];
      mirror.asked = [];
      const client = await apt('proxied', options, mirror.url);
      succeeded(await client.run('update'));
      succeeded(await client.download('hello'));
      assert.deepEqual(mirror.asked, []);
      const other = await (await apt('elsewhere', options, 'http://elsewhere.invalid/debian-other')).run('update');
      assert.match(other.stdout, /404 {2}Not Found/, outputOf(other));
    });
    await tally.check('deb: apt prints why policy refuses a package, and its index still verifies', async () => {
      const client = await apt('denied');
      succeeded(await client.run('update'));
      const result = await client.download('world');
      assert.notEqual(result.code, 0, outputOf(result));
      assert.match(result.stderr, /403 .*no-world/, outputOf(result));
      note(`deb: apt prints: ${/403 .*/.exec(result.stderr)?.[0]}`);
      const { path } = archive.packages.find(({ name }) => name === 'world') ?? { path: '' };
      for (const method of ['GET', 'HEAD'])
        assert.equal((await get(`${server.url}/debian/${path}`, { method })).status, 403);
      assert.ok(!mirror.asked.includes(path), 'the mirror was asked for what is refused');
    });
    await tally.check(`deb: 25 cold clients of a package of ${megabytes} MB are one request`, async () => {
      const { path, bytes } = archive.packages.find(({ name }) => name === 'large') ?? {
        path: '',
        bytes: Buffer.alloc(0),
      };
      mirror.asked = [];
      const sums = await Promise.all(Array.from({ length: 25 }, () => sumOf(`${server.url}/debian/${path}`)));
      assert.deepEqual(new Set(sums), new Set([sha256(bytes)]));
      assert.deepEqual(mirror.asked, [path]);
    });
    await slowFirst(tally, { archive, mirror, server });
    await mirror.stop();
    await server.stop();
    await server.start();
    for (const [way, options] of Object.entries(ways)) {
      await tally.check(`deb: apt needs no archive for what is cached, after a restart, ${way}`, async () => {
        const client = await apt(`offline ${way}`.replaceAll(' ', '-'), options);
        succeeded(await client.run('update'));
        succeeded(await client.download('hello', 'large'));
        assert.equal((await client.archives()).length, 2);
      });
    }
  });
}

/**
 * Lets the first client read slowly: it delays nobody, and has the whole in the end.
 * @param {Tally} tally @param {Pick<Scene, 'archive' | 'server'> & { mirror: DebMirror }} scene
 */
async function slowFirst(tally, { archive, mirror, server }) {
  const { path = '', bytes = Buffer.alloc(0) } = archive.packages.find(({ name }) => name === 'vast') ?? {};
  const url = `${server.url}/debian/${path}`;
  const size = Math.round(bytes.length / 1024 / 1024);
  await tally.check(
    `deb: a cold package of ${size} MB whose first client reads 1 KB/s delays no other one`,
    async () => {
      mirror.asked = [];
      const slow = await SlowReader.open(url);
      const started = performance.now();
      const sums = await Promise.all(Array.from({ length: 24 }, () => sumOf(url)));
      const seconds = (performance.now() - started) / 1000;
      const taken = slow.taken;
      assert.deepEqual(new Set(sums), new Set([sha256(bytes)]));
      assert.deepEqual(mirror.asked, [path]);
      assert.ok(taken < 1024 * (seconds + 2) + 1, `${taken} bytes in ${seconds} s`);
      note(
        `deb: 24 clients had ${size} MB each in ${seconds.toFixed(1)} s, the first one ${taken} bytes; 1 upstream request`,
      );
      assert.equal(await slow.rest(), sha256(bytes));
      assert.deepEqual(mirror.asked, [path]);
    },
  );
}

/** @param {Tally} tally */
async function poisoned(tally) {
  /** Faults of the first mirror. @type {Record<string, (path: string, bytes: Buffer) => Buffer>} */
  const spoils = {
    'a wrong byte in an index': (path, bytes) =>
      path.includes('Packages') || path.includes('by-hash') ? flipped(bytes) : bytes,
    'a wrong byte in a package': (path, bytes) => (path.endsWith('.deb') ? flipped(bytes) : bytes),
    'a wrong byte in a Release file': (path, bytes) => (path.includes('Release') ? flipped(bytes, 60) : bytes),
    'a page in place of everything': () => Buffer.from('<html><body>Log in to this network</body></html>'),
    'text before the signed block': (path, bytes) =>
      path.endsWith('InRelease') ? Buffer.concat([Buffer.from('Suite: other\n'), bytes]) : bytes,
    'an unsigned Release file': (path, bytes) =>
      path.endsWith('InRelease') ? Buffer.from(bytes.toString().split('\n\n')[1]?.split('\n-----')[0] ?? '') : bytes,
  };
  for (const [what, spoil] of Object.entries(spoils)) {
    await withArchive({ mirrors: 2 }, async ({ archive, mirrors, server, apt }) => {
      const [first, second] = /** @type {[DebMirror, DebMirror]} */ (mirrors);
      archive.add('hello', '1.0', { size: 300 });
      await archive.publish();
      first.spoil = spoil;
      await server.start();
      await tally.check(`deb: the next mirror answers where one has ${what}`, async () => {
        const client = await apt('client');
        succeeded(await client.run('update'));
        succeeded(await client.download('hello'));
        assert.ok(first.asked.length > 0 && second.asked.length > 0, `${first.asked.length} ${second.asked.length}`);
      });
    });
  }
  await withArchive({ mirrors: 2, freshFor: '0s' }, async ({ archive, mirrors, server, apt }) => {
    const [first, second] = /** @type {[DebMirror, DebMirror]} */ (mirrors);
    archive.add('hello', '1.0');
    archive.age = -3_600_000;
    await archive.publish();
    const old = new Map(archive.files);
    archive.age = 0;
    archive.add('hello', '2.0');
    await archive.publish();
    await server.start();
    const client = await apt('client');
    await tally.check('deb: a mirror that is behind does not move clients back in time', async () => {
      succeeded(await client.run('update'));
      first.spoil = second.spoil = (path, bytes) => old.get(path) ?? bytes;
      await delay(1100);
      await client.forget();
      succeeded(await client.run('update'));
      succeeded(await client.download('hello'));
      assert.deepEqual(await client.archives(), ['hello_2.0_all.deb']);
    });
    await tally.check(
      'deb: a Release file that is no longer valid is not taken, and the last one is served on',
      async () => {
        first.spoil = second.spoil = (_path, bytes) => bytes;
        archive.add('hello', '3.0');
        archive.age = -10_000;
        archive.validFor = 1;
        await archive.publish();
        await client.forget();
        succeeded(await client.run('update'));
        succeeded(await client.download('hello'));
        assert.deepEqual(await client.archives(), ['hello_2.0_all.deb']);
        archive.age = 0;
        archive.validFor = undefined;
        await archive.publish();
        await delay(1100);
        await client.forget();
        succeeded(await client.run('update'));
        succeeded(await client.download('hello'));
        assert.deepEqual(await client.archives(), ['hello_3.0_all.deb']);
      },
    );
  });
}

/** Reads a body, without holding it. @param {string} url @returns {Promise<string>} its SHA-256 */
async function sumOf(url) {
  const sent = request(url, { agent: false }).end();
  const [response] = await once(sent, 'response');
  const hash = createHash('sha256');
  for await (const bytes of response) hash.update(bytes);
  return hash.digest('hex');
}

/** @param {Buffer} bytes @param {number} [at] */
function flipped(bytes, at = bytes.length - 10) {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}
