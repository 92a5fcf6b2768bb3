import { strict as assert } from 'node:assert';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { forget, goClients, runGo } from '../go-clients.mjs';
import { outputOf } from '../run-command.mjs';
import { withScratch } from '../scratch.mjs';
import { EntrepotServer, freePort } from '../server.mjs';
import { note } from '../tally.mjs';

/** @import { Tally } from '../tally.mjs' */

/** Commands of real projects with large graphs. One of them names a toolchain. */
const PROJECTS = [
  { name: 'gh', package: 'github.com/cli/cli/v2/cmd/gh', version: 'v2.63.0' },
  { name: 'caddy', package: 'github.com/caddyserver/caddy/v2/cmd/caddy', version: 'v2.9.1' },
  { name: 'hugo', package: 'github.com/gohugoio/hugo', version: 'v0.128.0' },
];

/**
 * Real projects through Entrepot, from the proxies and the checksum database that this machine's `go` is set up with: cold,
 * then with an upstream that nothing listens at.
 * @param {Tally} tally
 */
export async function goReal(tally) {
  const [client] = await goClients();
  if (client === undefined) {
    note('no go on this machine: its scenario is left out');
    return;
  }
  await withScratch('go-real', async (folder) => {
    const server = new EntrepotServer({ folder, port: await freePort(), repositories: { go: { type: 'go' } } });
    const url = `${server.url}/go`;
    const home = join(folder, 'home');

    /**
     * Runs `go` in the folder of a project.
     * @param {string} project
     * @param {readonly string[]} args
     */
    async function run(project, args) {
      const place = { project, home, proxy: url, timeout: 900_000 };
      const result = await runGo(client ?? { name: '', command: 'go' }, args, place);
      assert.equal(result.code, 0, outputOf(result));
    }

    /** Chooses the versions of everything that the project needs. @param {(typeof PROJECTS)[number]} project */
    async function resolve({ name, package: main, version }) {
      const place = join(folder, name);
      await mkdir(place);
      await forget(home);
      await writeFile(join(place, 'go.mod'), 'module app.test/app\n\ngo 1.23.0\n');
      await writeFile(join(place, 'tools.go'), `//go:build tools\n\npackage app\n\nimport _ "${main}"\n`);
      await run(place, ['get', `${main}@${version}`]);
      await run(place, ['mod', 'tidy']);
    }

    /** Builds from `go.mod` and empty caches, and gives `go.sum`. @param {(typeof PROJECTS)[number]} project */
    async function build({ name, package: main }) {
      const place = join(folder, name);
      await rm(join(place, 'go.sum'), { force: true });
      await forget(home);
      const started = performance.now();
      await run(place, ['mod', 'download']);
      await run(place, ['build', '-o', join(place, 'out'), main]);
      const sum = await readFile(join(place, 'go.sum'), 'utf8');
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      note(`${name}: ${sum.split('\n').length - 1} sums, ${seconds} s`);
      return sum;
    }

    try {
      await server.start();
      /** @type {Map<string, string>} */
      const sums = new Map();
      for (const project of PROJECTS) {
        await tally.check(`${project.name}: builds through Entrepot`, async () => {
          await resolve(project);
          sums.set(project.name, await build(project));
        });
      }
      note(`${await server.metric('entrepot_upstream_requests_total')} upstream requests`);
      await server.stop();
      server.repositories = { go: { type: 'go', upstream: 'http://127.0.0.1:9' } };
      await server.start();
      for (const project of PROJECTS) {
        await tally.check(`${project.name}: builds the same with the upstream refused`, async () => {
          assert.equal(await build(project), sums.get(project.name));
        });
      }
      await tally.check('the upstream was asked for nothing', async () => {
        assert.equal(await server.metric('entrepot_upstream_requests_total'), 0);
      });
    } finally {
      await server.kill();
    }
  });
}
