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
  { name: 'hugo', package: 'github.com/gohugoio/hugo', version: 'v0.128.0' },
  { name: 'golangci-lint', package: 'github.com/golangci/golangci-lint/cmd/golangci-lint', version: 'v1.59.1' },
  { name: 'cosign', package: 'github.com/sigstore/cosign/v2/cmd/cosign', version: 'v2.4.0' },
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

    /** @param {typeof PROJECTS[number]} project */
    async function build({ name, package: main, version }) {
      const place = join(folder, name);
      await rm(place, { recursive: true, force: true });
      await mkdir(place);
      await forget(home);
      await writeFile(join(place, 'go.mod'), 'module app.test/app\n\ngo 1.22\n');
      await writeFile(join(place, 'tools.go'), `//go:build tools\n\npackage app\n\nimport _ "${main}"\n`);
      const started = performance.now();
      for (const args of [
        ['get', `${main}@${version}`],
        ['mod', 'download'],
        ['build', '-o', join(place, 'out'), main],
      ]) {
        const result = await runGo(client ?? { name: '', command: 'go' }, args, {
          project: place,
          home,
          proxy: url,
          timeout: 900_000,
        });
        assert.equal(result.code, 0, outputOf(result));
      }
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
