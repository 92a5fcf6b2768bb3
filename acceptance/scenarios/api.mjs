import { strict as assert } from 'node:assert';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { get } from '@entrepot/fixtures/get';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';
import { withScratch } from '@entrepot/fixtures/scratch';
import { FixtureApplication } from '@entrepot/fixtures/npm-application';
import { provideTool } from '@entrepot/fixtures/tools';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { FixtureRegistry } from '../servers/npm-registry.mjs';

/** @import { Tally } from '../tally.mjs' */

const TOKEN = 'a-token-that-nobody-guesses';
/**
 * Operations that are left out: a stream has no end, and the form of tokens is that of registries of images.
 */
const LEFT_OUT = ['/-/api/v1/events', '/-/token'];
/**
 * Operations whose texts have a grammar that no JSON schema says: package URLs, patterns, policies, dates. What is refused is right to be
 * refused, and what the check of valid input would call a failure.
 */
const CHECKS_LEFT_OUT = 'positive_data_acceptance';

/** Statuses of requests that are not as they are described: those of what is too large and too long, too. */
const SETTINGS = `[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 414, 415, 422, 428, 431]
`;
/** The time after which nothing is heard any more, in milliseconds. */
const HANGS = 900_000;

/**
 * Requests of all kinds, made from the description that a server gives of itself: each is answered as it is described.
 * @param {Tally} tally
 * @param {{ examples: number, seconds: number }} options `examples`: of each operation, at most; `seconds`: after which no more are made
 */
export async function api(tally, { examples, seconds }) {
  const program = await provideTool('schemathesis');
  if (program === undefined) return;
  await withScratch('api', async (folder) => {
    const registry = await new FixtureRegistry(new FixtureApplication()).start();
    const server = new EntrepotServer({
      folder,
      port: await freePort(),
      repositories: {
        npm: { type: 'npm', upstream: registry.url },
        uploads: { type: 'files', kind: 'hosted' },
        images: { type: 'oci', kind: 'hosted' },
      },
      more: {
        admin: { token: '${env:ADMIN}' },
        log: { access: false, level: 'warn' },
        policy: { preset: 'balanced' },
      },
      env: { ADMIN: TOKEN },
    });
    try {
      await server.start({ timeout: 60_000 });
      await tally.check(`api: the whole description, ${examples} examples of each operation`, async () => {
        await fill(server.url);
        await writeFile(join(folder, 'schemathesis.toml'), SETTINGS);
        const options = `--max-examples ${examples} --seed 1 --generation-deterministic --workers 1 --continue-on-failure
          --exclude-checks ${CHECKS_LEFT_OUT} --suppress-health-check filter_too_much --request-timeout 30 --max-time ${seconds} --no-color`;
        const command = [program, 'run', `${server.url}/-/api/openapi.json`, '--url', server.url];
        command.push('--header', `Authorization: Bearer ${TOKEN}`, ...options.split(/\s+/));
        for (const path of LEFT_OUT) command.push('--exclude-path', path);
        const run = await runCommand(command, {
          cwd: folder,
          env: { ...process.env, PYTHONPATH: dirname(dirname(program)), NO_COLOR: '1' },
          timeout: HANGS,
        });
        assert.equal(run.code, 0, outputOf(run).slice(-12_000));
        assert.ok(server.isRunning, server.log.slice(-4000));
      });
    } finally {
      if (server.isRunning) await server.stop();
      await registry.stop();
    }
  });
}

/** Keeps something to be looked at. @param {string} url */
async function fill(url) {
  for (const name of ['a.txt', 'folder/b.txt', 'folder/c.txt'])
    assert.equal((await fetch(`${url}/uploads/${name}`, { method: 'PUT', body: name })).status, 201);
  await get(`${url}/npm/left-pad`);
}
