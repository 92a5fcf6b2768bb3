import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { get } from '@entrepot/fixtures/get';
import { chartFiles } from '@entrepot/fixtures/helm-charts';
import { form } from '@entrepot/fixtures/multipart-form';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';
import { withScratch } from '@entrepot/fixtures/scratch';
import { provideTool } from '@entrepot/fixtures/tools';
import { helm, installCmPush, packageChart, signingKey, tryHelm, writeChart } from '../clients/helm.mjs';
import { EntrepotServer, freePort, MAIN } from '../servers/entrepot.mjs';
import { HelmUpstream } from '../servers/helm-upstream.mjs';
import { KubernetesApi } from '../servers/kubernetes-api.mjs';
import { UpstreamRegistry } from '../servers/oci-registry.mjs';
import { note } from '../tally.mjs';
import { differences, playProfile, readRecording, recordChartMuseum } from './helm-differential.mjs';
import { ENVIRONMENT, TOKEN_KEY } from './helm-requests.mjs';
import { PROFILES } from './helm-script.mjs';

/** @import { HelmClient } from '../clients/helm.mjs' */
/** @import { Tally } from '../tally.mjs' */

/**
 * Helm charts: one script of requests against ChartMuseum's recorded answers; every client on a hosted repository, on a
 * proxied one, with its upstream gone, and with charts as images.
 * @param {Tally} tally
 * @param {readonly HelmClient[]} clients
 * @param {{ peer?: boolean }} [options] `peer`: the clients on ChartMuseum and a registry program themselves, which tells
 *   a wrong test from a wrong server; and whether the recorded answers are still ChartMuseum's
 */
export async function helmHermetic(tally, clients, { peer = false } = {}) {
  await withScratch('helm', async (folder) => {
    const [packager] = clients;
    const key = packager === undefined ? undefined : await signingKey(join(folder, 'key'));
    /** @type {Scene} */
    const scene = { tally, clients, folder, key };
    if (peer) await onPeer(scene);
    else await onEntrepot(scene);
  });
}

/**
 * @typedef {object} Scene
 * @property {Tally} tally
 * @property {readonly HelmClient[]} clients
 * @property {string} folder
 * @property {Awaited<ReturnType<typeof signingKey>>} key
 */

/** @param {Scene} scene */
async function onPeer(scene) {
  const { tally, folder } = scene;
  const program = await provideTool('chartmuseum');
  if (program !== undefined) {
    await tally.check('helm: ChartMuseum answers as it is recorded', async () => {
      const place = join(folder, 'recorded');
      await mkdir(place);
      const found = await recordChartMuseum(program, place);
      const recorded = await readRecording();
      const problems = PROFILES.flatMap((profile) =>
        differences(profile, recorded[profile.name] ?? {}, found[profile.name] ?? {}, { strict: true }),
      );
      assert.deepEqual(problems, []);
    });
    const port = await freePort();
    const storage = join(folder, 'storage');
    const flags = [
      `--port=${port}`,
      '--listen-host=127.0.0.1',
      '--storage=local',
      `--storage-local-rootdir=${storage}`,
    ];
    const child = spawn(program, flags, { stdio: 'ignore', env: {} });
    try {
      await once(child, 'spawn');
      const url = `http://127.0.0.1:${port}`;
      for (
        let attempt = 0;
        attempt < 200 && (await get(`${url}/health`).catch(() => undefined)) === undefined;
        attempt += 1
      ) {
        await delay(20);
      }
      await hosted(scene, url);
    } finally {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    }
  }
  const binary = await UpstreamRegistry.program();
  if (binary === undefined || (await provideTool('openssl')) === undefined) return;
  const registry = new UpstreamRegistry(join(folder, 'registry'), { binary, tokens: false });
  try {
    await registry.start();
    await asImages(scene, `${registry.host}/charts`);
  } finally {
    await registry.stop();
  }
}

/** @param {Scene} scene */
async function onEntrepot(scene) {
  const { tally, clients, folder } = scene;
  const upstream = await new HelmUpstream().start();
  const key = join(folder, 'token-key.pem');
  await writeFile(key, TOKEN_KEY);
  const played = PROFILES.map(({ name, configuration }) => {
    const text = JSON.stringify({ type: 'helm', kind: 'hosted', ...configuration });
    return [`script-${name}`, JSON.parse(text.replaceAll('"KEY"', JSON.stringify(key)))];
  });
  const repositories = {
    charts: { type: 'helm', kind: 'hosted', access: { anonymous: 'write' } },
    proxied: { type: 'helm', upstream: upstream.url, cache: { index: { freshFor: '0s' } } },
    images: { type: 'oci', kind: 'hosted', access: { anonymous: 'write' } },
    ...Object.fromEntries(played),
  };
  const server = new EntrepotServer({ folder, port: await freePort(), repositories, env: ENVIRONMENT });
  try {
    if (!(await tally.check('helm: the server starts', () => server.start()))) return;
    const recorded = await readRecording();
    for (const profile of PROFILES) {
      await tally.check(
        `helm: ${profile.requests.length} requests as ChartMuseum answers them: ${profile.name}`,
        async () => {
          const found = await playProfile(profile, `${server.url}/script-${profile.name}`);
          assert.deepEqual(differences(profile, recorded[profile.name] ?? {}, found), []);
        },
      );
    }
    await hosted(scene, `${server.url}/charts`);
    await tally.check('helm: gen-index prints the index that is served', async () => {
      const served = await get(`${server.url}/charts/index.yaml`);
      const result = await runCommand([process.execPath, MAIN, 'gen-index', 'charts'], {
        cwd: folder,
        env: { ...process.env, ...ENVIRONMENT },
        timeout: 30_000,
        kept: 4_000_000,
      });
      assert.equal(result.stdout.trimEnd(), served.body.toString().trimEnd(), outputOf(result));
    });
    await secondDoor(scene, `${server.url}/charts`, `127.0.0.1:${server.port}/charts`);
    await asImages(scene, `127.0.0.1:${server.port}/images/charts`);
    await proxied(scene, upstream, `${server.url}/proxied`, 'from an empty store');
    if (clients.length === 0) return;
    await upstream.stop();
    await tally.check('helm: the server starts again', async () => {
      await server.stop();
      await server.start();
    });
    await proxied(scene, upstream, `${server.url}/proxied`, 'with the upstream gone');
    await tally.check('helm: the server stops with 0', () => server.stop());
  } finally {
    await server.kill();
    await upstream.stop();
  }
}

/** Everything that a client does with a repository that it may push to. @param {Scene} scene @param {string} url */
async function hosted({ tally, clients, folder, key }, url) {
  for (const client of clients) {
    const home = await emptied(join(folder, `${client.name}-home`));
    const work = await emptied(join(folder, `${client.name}-work`));
    const name = `demo-${client.name}`;
    const run = (/** @type {readonly string[]} */ ...args) => helm(client, home, args);
    const check = (/** @type {string} */ what, /** @type {() => Promise<void>} */ act) =>
      tally.check(`helm: ${client.name} ${what}`, act);

    await check('packages charts that are pushed as forms', async () => {
      for (const version of ['1.0.0', '1.1.0', '2.0.0-rc.1']) {
        const files = chartFiles({ name, version });
        const made = await packageChart(client, {
          folder: work,
          home,
          files,
          name: `${name}-${version}`,
          ...(key && { key }),
        });
        const parts = [{ field: 'chart', file: `${name}.tgz`, body: made.archive }];
        if (made.provenance !== undefined) parts.push({ field: 'prov', file: 'a.prov', body: made.provenance });
        const answer = await get(`${url}/api/charts`, { method: 'POST', ...form(...parts) });
        assert.equal(answer.status, 201, answer.body.toString());
      }
    });
    await check('adds and updates the repository', async () => {
      await run('repo', 'add', 'museum', url);
      await run('repo', 'update');
    });
    await check('finds the newest stable version', async () => {
      const found = JSON.parse(await run('search', 'repo', `museum/${name}`, '--output', 'json'));
      assert.deepEqual(
        found.map((/** @type {{ version: string }} */ { version }) => version),
        ['1.1.0'],
      );
      const all = JSON.parse(
        await run('search', 'repo', `museum/${name}`, '--versions', '--devel', '--output', 'json'),
      );
      assert.deepEqual(
        all.map((/** @type {{ version: string }} */ { version }) => version),
        ['2.0.0-rc.1', '1.1.0', '1.0.0'],
      );
    });
    await check('pulls, shows and renders', async () => {
      await run('pull', `museum/${name}`, '--version', '1.0.0', '--destination', work);
      assert.match(await run('show', 'values', `museum/${name}`), new RegExp(`name: ${name}`));
      assert.match(await run('template', 'release', `museum/${name}`, '--set', 'replicas=7'), /replicas: "7"/);
    });
    await check('installs, as a dry run', async () => {
      const cluster = await new KubernetesApi().start();
      try {
        await cluster.configure(join(home, 'kubeconfig'));
        const dry = ['--dry-run=client', '--disable-openapi-validation'];
        const rendered = await run('install', 'release', `museum/${name}`, ...dry);
        assert.match(rendered, /kind: ConfigMap/);
      } finally {
        await cluster.stop();
      }
    });
    if (key !== undefined) {
      await check('verifies the provenance', async () => {
        const verify = ['--verify', '--keyring', key.public, '--destination', work];
        await run('pull', `museum/${name}`, '--version', '1.1.0', ...verify);
      });
    }
    await check('updates and builds dependencies', async () => {
      const parent = join(work, 'parent');
      const dependencies = [{ name, version: '^1.0.0', repository: url }];
      await writeChart(parent, chartFiles({ name: 'parent', version: '0.1.0', dependencies }));
      await run('dependency', 'update', parent);
      await rm(join(parent, 'charts'), { recursive: true, force: true });
      await run('dependency', 'build', parent);
      const archive = await readFile(join(parent, `charts/${name}-1.1.0.tgz`));
      const answer = await get(`${url}/charts/${name}-1.1.0.tgz`);
      assert.ok(answer.body.equals(archive));
    });
    if (await installCmPush(home)) {
      await check('pushes with cm-push, and with force', async () => {
        const files = chartFiles({ name, version: '3.0.0' });
        const source = await writeChart(join(work, 'pushed'), files);
        await run('cm-push', source, 'museum');
        const again = await tryHelm(client, home, ['cm-push', source, 'museum']);
        assert.notEqual(again.code, 0, outputOf(again));
        assert.match(again.stdout + again.stderr, /409|already exists/);
        await run('cm-push', source, 'museum', '--force');
        await run('cm-push', source, url, '--version', '3.0.1');
        await run('repo', 'update');
        await run('pull', `museum/${name}`, '--version', '3.0.1', '--destination', work);
      });
    }
    await check('no longer finds what was deleted', async () => {
      const answer = await get(`${url}/api/charts/${name}/1.0.0`, { method: 'DELETE' });
      assert.equal(answer.status, 200, answer.body.toString());
      await run('repo', 'update');
      const result = await tryHelm(client, home, ['pull', `museum/${name}`, '--version', '1.0.0']);
      assert.notEqual(result.code, 0, outputOf(result));
    });
  }
}

/**
 * The charts of `hosted`, read as images. @param {Scene} scene @param {string} url @param {string} place host, port and name of the repository
 */
async function secondDoor({ tally, clients, folder, key }, url, place) {
  for (const client of clients) {
    const home = await emptied(join(folder, `${client.name}-home`));
    const name = `demo-${client.name}`;
    await tally.check(`helm: ${client.name} pulls from a hosted repository as from a registry`, async () => {
      const expected = (await get(`${url}/charts/${name}-1.1.0.tgz`)).body;
      const verify = key === undefined ? [] : ['--verify', '--keyring', key.public];
      for (const version of ['1.1.0', '~1.1']) {
        const out = await emptied(join(home, 'out'));
        const where = ['--version', version, '--plain-http', '--destination', out];
        await helm(client, home, ['pull', `oci://${place}/${name}`, ...where, ...verify]);
        assert.ok((await readFile(join(out, `${name}-1.1.0.tgz`))).equals(expected), `other bytes for ${version}`);
      }
      const shown = ['show', 'values', `oci://${place}/${name}`, '--version', '1.1.0', '--plain-http'];
      assert.match(await helm(client, home, shown), new RegExp(`name: ${name}`));
    });
  }
}

/** Charts in a registry of images. @param {Scene} scene @param {string} place host, port and the name that they are below */
async function asImages({ tally, clients, folder, key }, place) {
  for (const client of clients) {
    const home = await emptied(join(folder, `${client.name}-home`));
    const work = await emptied(join(folder, `${client.name}-work`));
    const name = `image-${client.name}`;
    await tally.check(`helm: ${client.name} pushes to and pulls from a registry`, async () => {
      const plain = ['--plain-http'];
      const made = new Map();
      for (const version of ['1.0.0', '1.2.0+build.1']) {
        const files = chartFiles({ name, version });
        const chart = await packageChart(client, {
          folder: work,
          home,
          files,
          name: `${name}-${version}`,
          ...(key && { key }),
        });
        made.set(version, chart);
        await helm(client, home, ['push', chart.file, `oci://${place}`, ...plain]);
      }
      const reference = `oci://${place}/${name}`;
      for (const version of ['1.0.0', '1.2.0+build.1', '^1.0.0']) {
        const out = await emptied(join(work, 'pulled'));
        const verify = key === undefined ? [] : ['--verify', '--keyring', key.public];
        await helm(client, home, ['pull', reference, '--version', version, '--destination', out, ...plain, ...verify]);
        const expected = version === '^1.0.0' ? '1.2.0+build.1' : version;
        const archive = await readFile(join(out, `${name}-${expected}.tgz`));
        assert.ok(archive.equals(made.get(expected).archive), `other bytes for ${version}`);
      }
      const template = ['template', 'release', reference, '--version', '1.0.0', ...plain];
      assert.match(await helm(client, home, template), /kind: ConfigMap/);
    });
  }
}

/** @param {Scene} scene @param {HelmUpstream} upstream @param {string} url @param {string} how */
async function proxied({ tally, clients, folder, key }, upstream, url, how) {
  const [packager] = clients;
  if (packager !== undefined && !upstream.charts.some(({ name }) => name === 'signed')) {
    const made = await packageChart(packager, {
      folder: await emptied(join(folder, 'signed')),
      home: await emptied(join(folder, 'packager')),
      files: chartFiles({ name: 'signed', version: '1.0.0' }),
      name: 'signed',
      ...(key && { key }),
    });
    upstream.add('signed', '1.0.0', made.archive, made.provenance);
  }
  for (const client of clients) {
    const home = await emptied(join(folder, `${client.name}-home`));
    await tally.check(`helm: ${client.name} pulls every form of URL through the proxy ${how}`, async () => {
      await helm(client, home, ['repo', 'add', 'proxied', url]);
      for (const { name, version, archive } of upstream.charts) {
        const out = await emptied(join(home, 'out'));
        const verify = name === 'signed' && key !== undefined ? ['--verify', '--keyring', key.public] : [];
        const pull = ['pull', `proxied/${name}`, '--version', version, '--destination', out];
        await helm(client, home, [...pull, ...verify]);
        const pulled = await readFile(join(out, `${name}-${version}.tgz`));
        assert.ok(pulled.equals(archive), `other bytes of ${name}`);
      }
      const parent = await emptied(join(home, 'parent'));
      const dependencies = [{ name: 'below', version: '1.x.x', repository: url }];
      await writeChart(parent, chartFiles({ name: 'parent', version: '0.1.0', dependencies }));
      await helm(client, home, ['dependency', 'update', parent]);
    });
  }
  await tally.check(`helm: the index names no other place ${how}`, async () => {
    const answer = await get(`${url}/index.yaml`);
    assert.equal(answer.status, 200);
    const text = answer.body.toString();
    assert.ok(!text.includes(upstream.here.url) && !text.includes(upstream.elsewhere.url), 'a URL of the upstream');
    note(`helm: an index of ${answer.body.length} bytes`);
  });
}

/** @param {string} folder */
async function emptied(folder) {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  return folder;
}
