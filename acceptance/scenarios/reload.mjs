import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { FixtureApplication } from '@entrepot/fixtures/npm-application';
import { get } from '@entrepot/fixtures/get';
import { withScratch } from '@entrepot/fixtures/scratch';
import { LongDownload, LongPut, Upload } from '../clients/long-transfers.mjs';
import { chooseClient } from '../clients/npm.mjs';
import { EntrepotServer, freePort, MAIN } from '../servers/entrepot.mjs';
import { FixtureRegistry } from '../servers/npm-registry.mjs';
import { note } from '../tally.mjs';
import { installOnce } from './clients-hermetic.mjs';
import { Load, RATE } from './rolling-restart.mjs';
import { childrenOf } from './workers.mjs';

/** @import { Tally } from '../tally.mjs' */

/** The time between two looks, in milliseconds. */
const STEP = 20;
const IN_FORCE = '"msg":"the configuration was read again';
const REFUSED = '"msg":"the configuration was not reloaded';

/**
 * The configuration is read again and again, wrong ones among them, while clients install, download and upload: none of them notices.
 * @param {Tally} tally
 * @param {{ rounds: number, wrong: number }} options how many reloads there are, and how many of them are of a wrong configuration
 */
export async function reload(tally, options) {
  for (const workers of [1, 2]) await reloadWith(tally, { ...options, workers });
  await reloadAsFirst(tally);
}

/** @param {Tally} tally @param {{ rounds: number, wrong: number, workers: number }} options */
async function reloadWith(tally, { rounds, wrong, workers }) {
  const what = `reload, ${workers === 1 ? 'one process' : `${workers} processes`}`;
  await withScratch('reload', async (folder) => {
    const application = new FixtureApplication();
    const registry = await new FixtureRegistry(application).start();
    const long = new LongDownload();
    await long.origin.start();
    const configuration = (/** @type {number} */ round) => ({
      repositories: {
        npm: { type: 'npm', upstream: registry.url, cache: { packument: { freshFor: `${10 + round}m` } } },
        files: { type: 'files', upstream: long.origin.url, rules: [{ match: '**', policy: 'immutable' }] },
        images: { type: 'oci', kind: 'hosted', quota: `${100 + round}MiB` },
        [`extra-${round}`]: { type: 'files', kind: 'hosted', overwrite: true },
      },
      more: {
        server: { listen: `127.0.0.1:${port}`, workers, keepAliveTimeout: `${60 + round}s` },
        log: { access: false, level: round % 2 === 0 ? 'info' : 'debug' },
      },
    });
    const port = await freePort();
    const server = new EntrepotServer({ folder, port, ...configuration(0) });
    const load = new Load();
    try {
      const isUp = await tally.check(`${what}: a signal while it starts is kept until it serves`, async () => {
        await server.start({ onSpawn: (pid) => void hangUpWhenHeard(pid) });
        await until(() => count(server, IN_FORCE) === 1);
      });
      if (!isUp) return;
      await tally.check(`${what}: ${rounds} reloads, ${wrong} of them wrong, and nothing fails`, async () => {
        const going = { ends: false };
        const upload = await Upload.begin(server.url);
        const put = new LongPut(`${server.url}/extra-0/long`);
        const running = [load.run(server.url), install(folder, server.url, application, going)];
        const download = long.follow(`${server.url}/files/long`);
        await until(() => load.sent > RATE / 2);
        let [valid, refused] = [1, 0];
        for (let round = 1; round <= rounds; round += 1) {
          const isWrong = round % Math.round(rounds / wrong) === 0;
          const { repositories, more } = configuration(round);
          if (isWrong) Object.assign(repositories, { npm: { type: 'npn' }, other: { mount: 5 } });
          await server.hangUp({ repositories, more });
          if (isWrong) refused += 1;
          else valid += 1;
          await until(() => count(server, REFUSED) === refused && count(server, IN_FORCE) === valid);
          await assertServes(server.url, round, !isWrong);
          await upload.append(round);
          put.write();
        }
        long.end();
        going.ends = true;
        load.stop();
        await Promise.all(running);
        note(`${what}: ${load.sent} requests, ${load.failures.length} failed; ${await running[1]} installs by npm`);
        assert.deepEqual(load.failures.slice(0, 10), []);
        note(
          `${what}: a download of ${await download} bytes and an upload of ${await upload.end()} bytes went on all the time`,
        );
        assert.equal(await put.end(), 201);
      });
      await tally.check(`${what}: what has changed is logged, and what is wrong`, () => {
        const lines = server.log.split('\n').filter((line) => /has changed"|is refused"/.test(line));
        const last = lines.slice(-5).map((line) => JSON.parse(line));
        for (const { key, change, from, to, problem } of last)
          note(`${what}: ${problem ?? `${key} ${change}${from === undefined ? '' : `: ${from} -> ${to}`}`}`);
        for (const text of [
          '"key":"server.keepAliveTimeout","change":"changed","from":"60000","to":"61000"',
          'did you mean npm?',
        ])
          assert.ok(server.log.includes(text), text);
      });
      await tally.check(`${what}: the metrics go on`, async () => {
        const counted = await server.metric('entrepot_requests_total');
        assert.ok(counted >= load.sent, `${load.sent} requests were expected to be counted, found ${counted}`);
      });
      if (workers > 1)
        await tally.check(
          `${what}: one that is killed comes back with what is in force, not with what the file says`,
          async () => {
            const [victim = 0, ...others] = await childrenOf(server.pid);
            process.kill(victim, 'SIGKILL');
            await until(async () => {
              const now = await childrenOf(server.pid);
              return now.length === workers && !now.includes(victim) && others.every((pid) => now.includes(pid));
            });
            await until(() => count(server, '"msg":"serving"') === workers + 1);
            for (let times = 0; times < 10; times += 1) await assertServes(server.url, rounds - 1, true);
          },
        );
      const bytes = await server.residentBytes();
      note(`${what}: ${Math.round((bytes ?? 0) / 1e6)} MB resident after that`);
      await tally.check(`${what}: the server stops with 0`, () => server.stop());
    } finally {
      load.stop();
      long.end();
      await server.kill();
      await registry.stop();
      await long.origin.stop();
    }
  });
}

/** As the first process of a container, which ends by no signal that it does not handle. @param {Tally} tally */
async function reloadAsFirst(tally) {
  const probe = spawn('unshare', ['--pid', '--fork', 'true'], { stdio: 'ignore' });
  const [code] = await once(probe, 'exit').catch(() => [1]);
  if (code !== 0)
    return note('reload: this user may not make a process the first one of its kind; that is not checked');
  await withScratch('reload-first', async (folder) => {
    const file = join(folder, 'entrepot.yaml');
    const port = await freePort();
    const write = (/** @type {string} */ name) =>
      writeFile(
        file,
        `server: { listen: "127.0.0.1:${port}" }\nrepositories: { ${name}: { type: files, kind: hosted } }\n`,
      );
    await write('one');
    const words = ['--pid', '--fork', '--kill-child', process.execPath, MAIN, 'serve', '-c', file];
    const outer = spawn('unshare', words, { cwd: folder, stdio: 'ignore' });
    try {
      await tally.check('reload, as process 1: a signal reloads, another one ends it with 0', async () => {
        const isThere = (/** @type {string} */ name) => async () =>
          (await get(`http://127.0.0.1:${port}/${name}/a`, { method: 'PUT', body: 'a' }).catch(() => undefined))
            ?.status === 201;
        await until(isThere('one'));
        const inner = Number((await readFile(`/proc/${outer.pid}/task/${outer.pid}/children`, 'utf8')).trim());
        await write('two');
        process.kill(inner, 'SIGHUP');
        await until(isThere('two'));
        const ended = once(outer, 'exit');
        process.kill(inner, 'SIGTERM');
        assert.deepEqual(await ended, [0, null]);
      });
    } finally {
      outer.kill('SIGKILL');
    }
  });
}

/** Sends a hangup as soon as the program handles it: before that Node itself would end. @param {number} pid */
async function hangUpWhenHeard(pid) {
  const isHeard = async () => {
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    return (Number.parseInt(/^SigCgt:\s+(\w+)$/m.exec(status)?.[1]?.slice(-1) ?? '0', 16) & 1) === 1;
  };
  while (!(await isHeard())) await delay(1);
  process.kill(pid, 'SIGHUP');
}

/** @param {EntrepotServer} server @param {string} text */
function count(server, text) {
  return server.log.split(text).length - 1;
}

/**
 * The repository of a round is served from its reload on, if that was right, by all processes.
 * @param {string} url @param {number} round @param {boolean} isThere
 */
async function assertServes(url, round, isThere) {
  const put = () => get(`${url}/extra-${round}/a`, { method: 'PUT', body: 'a' });
  const found = await Promise.all([put(), put(), put(), put()]);
  for (const { status } of found) assert.ok(isThere ? status < 300 : status === 404, `round ${round}: ${status}`);
}

/**
 * Installs the application with npm until it is to end.
 * @param {string} folder @param {string} url @param {FixtureApplication} application @param {{ ends: boolean }} going
 */
async function install(folder, url, { manifest }, going) {
  const client = chooseClient('npm');
  await mkdir(join(folder, 'client'));
  for (let times = 1; ; times += 1) {
    await installOnce({
      client,
      folder: join(folder, 'client'),
      manifest,
      registry: `${url}/npm`,
      keepLockfile: false,
    });
    if (going.ends) return times;
  }
}

/** Waits until `is` says so. @param {() => boolean | Promise<boolean>} is */
async function until(is) {
  for (let left = 1_500; !(await is()); left -= 1) {
    assert.ok(left > 0, 'it was expected within half a minute');
    await delay(STEP);
  }
}
