import { strict as assert } from 'node:assert';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { get } from '@entrepot/fixtures/get';
import { hashedRequirements, LARGE_WHEEL, REQUIREMENTS } from '@entrepot/fixtures/python-files';
import { outputOf } from '@entrepot/fixtures/run-command';
import { withScratch } from '@entrepot/fixtures/scratch';
import { hasPython, installed, pythonOfMachine, runUv } from '../clients/python.mjs';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { PythonIndex } from '../servers/python-index.mjs';
import { note } from '../tally.mjs';

/** @import { PythonClient, PythonPlace } from '../clients/python.mjs' */
/** @import { Tally } from '../tally.mjs' */

/** Longer than any run, so that "nothing was asked" can be counted. */
const CACHE = { simple: { freshFor: '1d' } };
const JSON_TYPE = 'application/vnd.pypi.simple.v1+json';

/**
 * Every client installs a synthetic application through Entrepot, with hashes required: from an empty store, and with the
 * upstream gone. Then a resolver reads a large wheel in parts, and an upstream lies.
 * @param {Tally} tally
 * @param {readonly PythonClient[]} clients
 */
export async function pythonHermetic(tally, clients) {
  if (!(await hasPython())) {
    note('no python3 with pip on this machine: its scenario is left out');
    return;
  }
  await withScratch('python', async (folder) => {
    const upstream = await new PythonIndex().start();
    const repositories = {
      pypi: upstream.repository({ cache: CACHE }),
      derived: upstream.repository({ cache: CACHE, deriveMetadata: true }),
      guarded: upstream.repository({ cache: CACHE, access: { users: { team: { password: '${env:TEAM_PASSWORD}' } } } }),
    };
    const env = { TEAM_PASSWORD };
    const server = new EntrepotServer({ folder, port: await freePort(), repositories, env });
    try {
      await run({ tally, clients, folder, upstream, server });
    } finally {
      await server.kill();
      await upstream.stop();
    }
  });
}

/** Of the user `team` of the repository `guarded`. */
const TEAM_PASSWORD = 'only-for-the-team';

/**
 * @typedef {object} Setting
 * @property {Tally} tally
 * @property {readonly PythonClient[]} clients
 * @property {string} folder
 * @property {PythonIndex} upstream
 * @property {EntrepotServer} server
 */

/** @param {Setting} setting */
async function run(setting) {
  const { tally, clients, folder, upstream, server } = setting;
  if (!(await tally.check('python: the server starts', () => server.start()))) return;
  const index = `${server.url}/pypi/simple/`;
  const requirements = hashedRequirements(upstream.projects);
  const wanted = [...requirements.matchAll(/^\S+==\S+/gm)].map(([pin]) => pin).sort();
  const install = { folder, index, requirements, wanted };

  for (const client of clients) {
    await tally.check(`${client.name}: installs from an empty store`, () => installOnce(client, install));
  }
  await tally.check('python: every page, file and sidecar was fetched once for all clients', () => {
    const more = [...upstream.requests].filter(([name, times]) => times > 1 && name.startsWith('GET '));
    assert.deepEqual(more, [], 'one upstream request each was expected');
    assert.ok(upstream.count() >= wanted.length * 2, `at least ${wanted.length * 2} requests were expected`);
  });
  await tally.check('python: every form of every page is served, and names nothing of the upstream', () =>
    readPages(setting),
  );
  await resolve(setting);
  await poison(setting);
  for (const client of clients.filter(({ name }) => name === 'pip' || name === 'uv')) {
    await tally.check(`${client.name}: installs from a guarded repository with a password only`, async () => {
      const guarded = `${server.url.replace('://', `://team:${TEAM_PASSWORD}@`)}/guarded/simple/`;
      await installOnce(client, { ...install, index: guarded });
      await assert.rejects(installOnce(client, { ...install, index: guarded.replace(TEAM_PASSWORD, 'another') }));
    });
  }

  await upstream.stop();
  await tally.check('python: the server stops with 0 and starts again', async () => {
    await server.stop();
    await server.start();
  });
  for (const client of clients) {
    await tally.check(`${client.name}: installs with the upstream gone`, () => installOnce(client, install));
  }
  await tally.check('uv: resolves with the upstream gone', async () => {
    const place = { folder: join(folder, 'resolve-again'), index, requirements: '' };
    const result = await compile(place, [...REQUIREMENTS, 'fixture-big']);
    assert.equal(result.code, 0, outputOf(result));
  });
  await tally.check('python: with everything kept, the upstream was asked for nothing', async () => {
    assert.equal(await server.metric('entrepot_upstream_requests_total'), 0);
  });
  await tally.check('python: the server stops with 0', () => server.stop());
}

/**
 * Installs into an empty environment with an empty cache.
 * @param {PythonClient} client
 * @param {{ folder: string, index: string, requirements: string, wanted: readonly string[], timeout?: number }} options
 */
export async function installOnce(client, { folder, index, requirements, wanted, timeout }) {
  const own = join(folder, `${client.name}-run`);
  await rm(own, { recursive: true, force: true });
  const result = await client.install({ folder: own, index, requirements, ...(timeout !== undefined && { timeout }) });
  assert.equal(result.code, 0, outputOf(result));
  assert.deepEqual(await installed(own), [...wanted].sort());
  await rm(own, { recursive: true, force: true });
}

/**
 * Resolves `names`; the versions that were chosen, with their hashes, are in `compiled.txt`.
 * @param {PythonPlace} place
 * @param {readonly string[]} names
 */
export async function compile(place, names) {
  await mkdir(place.folder, { recursive: true });
  await writeFile(join(place.folder, 'names.in'), `${names.join('\n')}\n`);
  const flags = ['--quiet', '--generate-hashes', '--no-header', '--no-annotate', '--python', await pythonOfMachine()];
  return runUv(place, ['pip', 'compile', ...flags, '--output-file', 'compiled.txt', 'names.in']);
}

/** A large wheel without a sidecar: its metadata is read from its end, while nothing of it is kept. @param {Setting} setting */
async function resolve({ tally, folder, upstream, server }) {
  const place = { folder: join(folder, 'resolve'), index: `${server.url}/pypi/simple/`, requirements: '' };
  await tally.check('uv: resolves with the metadata of a cold large wheel, by ranges', async () => {
    const before = server.requests.length;
    const result = await compile(place, [...REQUIREMENTS, 'fixture-big']);
    assert.equal(result.code, 0, outputOf(result));
    const asked = server.requests.slice(before).filter(({ path }) => path.includes('fixture_big'));
    const parts = asked.filter(({ status }) => status === 206);
    assert.ok(parts.length > 0, `a reply of 206 was expected, found ${JSON.stringify(asked)}`);
    assert.ok(
      asked.every(({ status }) => status < 400),
      JSON.stringify(asked),
    );
    note(`uv: ${asked.length} requests for a wheel of ${LARGE_WHEEL >> 20} MiB, ${Math.round(result.milliseconds)} ms`);
  });
  await tally.check('uv: resolves with metadata that is read out of the wheel', async () => {
    const own = { folder: join(folder, 'derived'), index: `${server.url}/derived/simple/`, requirements: '' };
    const result = await compile(own, ['fixture-big']);
    assert.equal(result.code, 0, outputOf(result));
    const file = upstream.projects.get('fixture-big')?.files[0];
    const path = `files/fixture-big/${file?.sha256.slice(0, 16)}/${file?.filename}.metadata`;
    const { status, headers, body } = await get(`${server.url}/derived/${path}`);
    assert.deepEqual([status, headers['x-cache']], [200, 'HIT'], 'metadata that uv has asked for was expected');
    assert.match(body.toString('utf8'), /^Name: fixture-big$/im);
  });
  await tally.check('python: the large wheel is fetched to its end, once, and is what it was', async () => {
    const file = upstream.projects.get('fixture-big')?.files[0];
    if (file === undefined) throw new Error('the large wheel was expected');
    const url = `${server.url}/pypi/files/fixture-big/${file.sha256.slice(0, 16)}/${file.filename}`;
    const answer = await get(url);
    assert.ok(answer.complete && answer.body.equals(file.bytes), 'the bytes of the large wheel were expected');
    const part = await get(url, { headers: { range: 'bytes=-1000', 'if-range': String(answer.headers.etag) } });
    assert.deepEqual([part.status, part.body.equals(file.bytes.subarray(-1000))], [206, true]);
  });
}

/** @param {Setting} setting */
async function poison({ tally, folder, upstream, server }) {
  const file = upstream.projects.get('fixture-lib-one')?.files[0];
  if (file === undefined) throw new Error('a wheel was expected');
  // Nobody has asked for this version before.
  const url = `${server.url}/pypi/files/fixture-lib-one/${file.sha256.slice(0, 16)}/${file.filename}`;
  const place = { folder: join(folder, 'poisoned'), index: `${server.url}/pypi/simple/`, requirements: '' };
  const install = ['pip', 'install', '--target', 'site', `fixture-lib-one==${file.version}`];
  await tally.check('python: wrong bytes reach no client whole, and are not kept', async () => {
    upstream.poisoned = file.filename;
    const result = await runUv(place, install);
    assert.notEqual(result.code, 0, 'a failure was expected');
    const answer = await get(url).catch(() => undefined);
    assert.ok(answer === undefined || !answer.complete || answer.status >= 500, `found ${answer?.status}, complete`);
    await upstream.stop();
    const offline = await get(url).catch(() => undefined);
    assert.ok(offline === undefined || offline.status >= 500, `nothing was to be kept; found ${offline?.status}`);
  });
  await tally.check('python: the right bytes are served as soon as they are there', async () => {
    upstream.poisoned = undefined;
    await upstream.start();
    const result = await runUv(place, install);
    assert.equal(result.code, 0, outputOf(result));
  });
}

/** @param {Setting} setting */
async function readPages({ upstream, server }) {
  for (const { name, files } of upstream.projects.values()) {
    for (const accept of [JSON_TYPE, 'application/vnd.pypi.simple.v1+html', 'text/html', '*/*']) {
      const url = `${server.url}/pypi/simple/${name}/`;
      const { status, headers, body } = await get(url, { headers: { accept } });
      const text = body.toString('utf8');
      assert.equal(status, 200, `${name} as ${accept}`);
      assert.ok(!text.includes(String(upstream.files.port)), `${name} as ${accept} names the host of the files`);
      assert.match(String(headers.vary), /^Accept,/);
      assert.equal(text.split(files[0]?.filename ?? '').length > 1, true, `${name} as ${accept} lists its files`);
      const yanked = files.some((file) => file.yanked !== false);
      if (yanked) assert.match(text, accept === JSON_TYPE ? /"yanked":(?:true|"it)/ : /data-yanked="/);
    }
  }
}
