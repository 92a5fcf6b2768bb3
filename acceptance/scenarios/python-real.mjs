import { strict as assert } from 'node:assert';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { outputOf } from '@entrepot/fixtures/run-command';
import { withScratch } from '@entrepot/fixtures/scratch';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { note } from '../tally.mjs';
import { compile, installOnce } from './python-hermetic.mjs';

/** @import { PythonClient } from '../clients/python.mjs' */
/** @import { Tally } from '../tally.mjs' */

const STACKS = {
  web: [
    'flask',
    'django',
    'fastapi',
    'uvicorn',
    'sqlalchemy',
    'celery',
    'requests',
    'httpx',
    'jinja2',
    'alembic',
    'gunicorn',
  ],
  science: ['numpy', 'pandas', 'scikit-learn', 'matplotlib', 'scipy'],
};

const TIMEOUT = 600_000;
const CACHE = { simple: { freshFor: '1d' } };

/**
 * Each client installs real stacks, with hashes required, from the index of this machine into an empty environment; then the
 * server is started again with its upstream at a closed port, and the client does it again with empty caches.
 * @param {Tally} tally
 * @param {readonly PythonClient[]} clients
 * @param {{ small: boolean }} options only the web stack
 */
export async function pythonReal(tally, clients, { small }) {
  const stacks = Object.entries(STACKS).filter(([stack]) => !small || stack === 'web');
  for (const [stack, names] of stacks) {
    await withScratch('python-real', (folder) => installStack({ tally, clients, folder, stack, names }));
  }
}

/**
 * @param {{ tally: Tally, clients: readonly PythonClient[], folder: string, stack: string, names: readonly string[] }} setting
 */
async function installStack({ tally, clients, folder, stack, names }) {
  const own = join(folder, 'server');
  await mkdir(own);
  const server = new EntrepotServer({
    folder: own,
    port: await freePort(),
    repositories: { pypi: { type: 'pypi', cache: CACHE } },
  });
  const index = `${server.url}/pypi/simple/`;
  let requirements = '';
  /** @type {string[]} */
  let wanted = [];
  /** @param {string} name */
  async function resolve(name) {
    const place = { folder: join(folder, name), index, requirements: '', timeout: TIMEOUT };
    const result = await compile(place, names);
    assert.equal(result.code, 0, outputOf(result));
    const text = await readFile(join(place.folder, 'compiled.txt'), 'utf8');
    await rm(place.folder, { recursive: true, force: true });
    return text;
  }
  try {
    const started = await tally.check(`${stack}: uv resolves from an empty store`, async () => {
      await server.start();
      requirements = await resolve('compile');
      wanted = [...requirements.matchAll(/^(\S+==[^\s\\]+)/gm)].map(([, pin]) => pin ?? '');
      assert.ok(wanted.length >= names.length, `at least ${names.length} packages were expected`);
      note(
        `${stack}: ${wanted.length} packages, ${await server.metric('entrepot_upstream_requests_total')} upstream requests`,
      );
    });
    if (!started) return;
    const install = { folder, index, requirements, wanted, timeout: TIMEOUT };
    for (const client of clients) {
      await tally.check(`${stack}: ${client.name} installs with hashes`, () => installOnce(client, install));
    }
    note(`${stack}: ${await server.metric('entrepot_upstream_requests_total')} upstream requests in all`);
    await tally.check(`${stack}: the server starts again with its upstream refused`, async () => {
      await server.stop();
      server.repositories = { pypi: { type: 'pypi', cache: CACHE, upstream: `http://127.0.0.1:${await freePort()}` } };
      await server.start();
    });
    await tally.check(`${stack}: uv resolves to the same with the upstream refused`, async () => {
      assert.equal(await resolve('compile-again'), requirements);
    });
    for (const client of clients) {
      await tally.check(`${stack}: ${client.name} installs with the upstream refused`, () =>
        installOnce(client, install),
      );
    }
    await tally.check(`${stack}: with everything kept, the upstream was asked for nothing`, async () => {
      assert.equal(await server.metric('entrepot_upstream_requests_total'), 0);
    });
    await tally.check(`${stack}: the server stops with 0`, () => server.stop());
  } finally {
    await server.kill();
  }
}
