import { strict as assert } from 'node:assert';
import { cp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';
import { withScratch } from '@entrepot/fixtures/scratch';
import { forget, goClients, runGo } from '../clients/go.mjs';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { note } from '../tally.mjs';

/** @import { GoClient } from '../clients/go.mjs' */
/** @import { Tally } from '../tally.mjs' */

/**
 * @typedef {object} Project
 * @property {string} client the name of the `go` that builds it
 * @property {string} name
 * @property {string} module
 * @property {string} version
 * @property {string} command its package
 * @property {string} [toolchain] the one that its `go.mod` names: fetched as a module
 */

/**
 * Real projects with large graphs, from their own `go.mod`. Two of the newer ones have a `toolchain` line; the older ones
 * are what Go 1.19 can build.
 * @type {readonly Project[]}
 */
const PROJECTS = [
  {
    client: 'go',
    name: 'gh',
    module: 'github.com/cli/cli/v2',
    version: 'v2.63.0',
    command: './cmd/gh',
    toolchain: 'go1.22.6',
  },
  { client: 'go', name: 'caddy', module: 'github.com/caddyserver/caddy/v2', version: 'v2.9.1', command: './cmd/caddy' },
  { client: 'go', name: 'hugo', module: 'github.com/gohugoio/hugo', version: 'v0.128.0', command: '.' },
  { client: 'go-1.19', name: 'gh', module: 'github.com/cli/cli/v2', version: 'v2.20.2', command: './cmd/gh' },
  {
    client: 'go-1.19',
    name: 'caddy',
    module: 'github.com/caddyserver/caddy/v2',
    version: 'v2.6.2',
    command: './cmd/caddy',
  },
  { client: 'go-1.19', name: 'hugo', module: 'github.com/gohugoio/hugo', version: 'v0.104.3', command: '.' },
];

/** Modules whose versions are commits. */
const UNTAGGED = ['golang.org/x/exp', 'k8s.io/utils', 'gopkg.in/check.v1'];

/** Reads the proxy that this machine's `go` is set up with. */
async function stockProxy() {
  const result = await runCommand(['go', 'env', 'GOPROXY'], { cwd: '/', env: process.env, timeout: 20_000 });
  return result.stdout.trim();
}

/**
 * Real projects through Entrepot, from the proxies and the checksum database that this machine's `go` is set up with: cold,
 * then with an upstream that nothing listens at.
 * @param {Tally} tally
 */
export async function goReal(tally) {
  const clients = await goClients();
  if (clients.length === 0) {
    note('no go on this machine: its scenario is left out');
    return;
  }
  const projects = PROJECTS.flatMap((project) => {
    const client = clients.find(({ name }) => name === project.client);
    if (client === undefined)
      note(`no ${project.client} on this machine: ${project.name} ${project.version} is left out`);
    return client === undefined
      ? []
      : [{ ...project, client, title: `${client.name}: ${project.name} ${project.version}` }];
  });
  await withScratch('go-real', async (folder) => {
    const server = new EntrepotServer({ folder, port: await freePort(), repositories: { go: { type: 'go' } } });
    const url = `${server.url}/go`;

    /**
     * Runs `go` in `place`, and gives what it printed.
     * @param {(typeof projects)[number]} project
     * @param {string} place
     * @param {readonly string[]} args
     */
    async function run({ client, toolchain }, place, args) {
      const home = join(folder, `${client.name}-home`);
      const settings = toolchain === undefined ? {} : { GOTOOLCHAIN: toolchain };
      const result = await runGo(client, args, { project: place, home, proxy: url, settings, timeout: 900_000 });
      assert.equal(result.code, 0, outputOf(result));
      return result.stdout;
    }

    /** Unpacks the project, and gives the `go.sum` that it comes with. @param {(typeof projects)[number]} project */
    async function unpack(project) {
      const place = join(folder, `${project.client.name}-${project.name}`);
      await forget(join(folder, `${project.client.name}-home`));
      const printed = await run(project, folder, ['mod', 'download', '-json', `${project.module}@${project.version}`]);
      await cp(JSON.parse(printed).Dir, place, { recursive: true });
      return await readFile(join(place, 'go.sum'), 'utf8');
    }

    /** Builds from `go.mod` and empty caches of modules, and gives `go.sum`. @param {(typeof projects)[number]} project */
    async function build(project) {
      const place = join(folder, `${project.client.name}-${project.name}`);
      await rm(join(place, 'go.sum'), { force: true });
      await forget(join(folder, `${project.client.name}-home`));
      const started = performance.now();
      await run(project, place, ['mod', 'download']);
      const downloaded = performance.now();
      await run(project, place, ['build', '-o', join(place, 'entrepot-built'), project.command]);
      if (project.toolchain !== undefined) {
        assert.match(
          await run(project, place, ['version', 'entrepot-built']),
          new RegExp(`${project.toolchain}$`, 'm'),
        );
      }
      const sum = await readFile(join(place, 'go.sum'), 'utf8');
      const seconds = [downloaded - started, performance.now() - downloaded].map((time) => (time / 1000).toFixed(1));
      note(`${project.title}: ${sum.split('\n').length - 1} sums, download ${seconds[0]} s, build ${seconds[1]} s`);
      return sum;
    }

    try {
      await server.start();
      /** @type {Map<string, string>} */
      const sums = new Map();
      for (const project of projects) {
        await tally.check(`${project.title} builds through Entrepot`, async () => {
          const shipped = sumsByFile(await unpack(project));
          const sum = await build(project);
          sums.set(project.title, sum);
          const differing = [...sumsByFile(sum)].filter(([file, hash]) => (shipped.get(file) ?? hash) !== hash);
          assert.deepEqual(differing, [], 'other checksums than the project itself has');
        });
      }
      for (const module of UNTAGGED) {
        await tally.check(`${module}, which has no tags: its latest version is the upstream's`, async () => {
          const [client] = clients;
          const home = join(folder, 'untagged-home');
          const latest = async (/** @type {string} */ proxy) => {
            await forget(home);
            const place = { project: folder, home, proxy };
            const result = await runGo(/** @type {GoClient} */ (client), ['list', '-m', `${module}@latest`], place);
            assert.equal(result.code, 0, outputOf(result));
            return result.stdout;
          };
          assert.equal(await latest(url), await latest(await stockProxy()));
        });
      }
      note(`${await server.metric('entrepot_upstream_requests_total')} upstream requests`);
      await server.stop();
      server.repositories = { go: { type: 'go', upstream: 'http://127.0.0.1:9' } };
      await server.start();
      for (const project of projects) {
        await tally.check(`${project.title} builds the same with the upstream refused`, async () => {
          assert.equal(await build(project), sums.get(project.title));
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

/** The checksums of a `go.sum` by the file that they are of. @param {string} text @returns {Map<string, string>} */
function sumsByFile(text) {
  const lines = text.trim().split('\n');
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), line.slice(line.lastIndexOf(' ') + 1)]));
}
