import { strict as assert } from 'node:assert';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { get } from '@entrepot/fixtures/get';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';
import { withScratch } from '@entrepot/fixtures/scratch';
import { hasCargo, newHome, newProject, runCargo } from '../clients/cargo.mjs';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { note } from '../tally.mjs';

/** @import { Tally } from '../tally.mjs' */

/**
 * Programs with a lockfile of their own, which are published as crates.
 * @type {readonly { name: string, version: string, builds?: boolean }[]}
 */
const PROGRAMS = [
  { name: 'ripgrep', version: '14.1.1', builds: true },
  { name: 'nu', version: '0.100.0' },
];
/** Libraries with large trees, resolved anew. */
const LIBRARIES = [
  { name: 'tokio', dependency: 'tokio = { version = "1", features = ["full"], registry = "here" }' },
  { name: 'bevy', dependency: 'bevy = { version = "0.14", registry = "here" }' },
];
/** Settings with which documents stay fresh while the scenario runs. */
const CACHE = { index: { freshFor: '1d' }, config: { freshFor: '1d' } };

/**
 * Real trees through Entrepot, from the registry that this machine's cargo is set up with: in place of it, and as one beside it; cold,
 * and then with an upstream that nothing listens at.
 * @param {Tally} tally
 */
export async function cargoReal(tally) {
  if (!(await hasCargo())) {
    note('no cargo 1.70 or newer on this machine: its scenario is left out');
    return;
  }
  await withScratch('cargo-real', async (folder) => {
    const repositories = { crates: { type: 'cargo', cache: CACHE } };
    const server = new EntrepotServer({ folder, port: await freePort(), repositories });
    const url = `${server.url}/crates`;
    const home = join(folder, 'home');
    const replaced = { registries: { here: url }, replaces: 'here' };
    const beside = { registries: { here: url } };

    /**
     * Fetches a tree into an empty home, and gives its lockfile.
     * @param {string} project @param {readonly string[]} args @param {Parameters<typeof newHome>[1]} settings
     */
    async function fetched(project, args, settings) {
      await newHome(home, settings);
      const started = performance.now();
      const result = await runCargo(['fetch', ...args], { home, project, timeout: 900_000 });
      assert.equal(result.code, 0, outputOf(result));
      const lock = await readFile(join(project, 'Cargo.lock'), 'utf8');
      const crates = lock.split('[[package]]').length - 2;
      note(
        `${project.slice(folder.length + 1)}: ${crates} crates in ${((performance.now() - started) / 1000).toFixed(1)} s`,
      );
      return lock;
    }

    /** Unpacks a program as it is published. @param {{ name: string, version: string }} program */
    async function unpacked({ name, version }) {
      const project = join(folder, `${name}-${version}`);
      await rm(project, { recursive: true, force: true });
      const archive = await get(`${url}/api/v1/crates/${name}/${version}/download`, { timeout: 120_000 });
      assert.equal(archive.status, 200, archive.body.toString('utf8', 0, 500));
      await writeFile(`${project}.crate`, archive.body);
      const command = ['tar', '-xzf', `${project}.crate`];
      const result = await runCommand(command, { cwd: folder, env: process.env, timeout: 60_000 });
      assert.equal(result.code, 0, outputOf(result));
      return project;
    }

    /** @param {string} when @param {boolean} resolves */
    async function everything(when, resolves) {
      for (const program of PROGRAMS) {
        await tally.check(`cargo: ${program.name} ${program.version} with its own lockfile, ${when}`, async () => {
          const project = await unpacked(program);
          await fetched(project, ['--locked'], replaced);
          if (program.builds !== true) return;
          const result = await runCargo(['build', '--locked'], { home, project, timeout: 900_000 });
          assert.equal(result.code, 0, outputOf(result));
        });
      }
      for (const { name, dependency } of LIBRARIES) {
        await tally.check(`cargo: the tree of ${name} from a registry beside it, ${when}`, async () => {
          const project = join(folder, name);
          if (resolves) {
            await mkdir(project, { recursive: true });
            await newProject(project, { dependencies: dependency });
          }
          const before = resolves ? undefined : await readFile(join(project, 'Cargo.lock'), 'utf8');
          await rm(join(project, 'Cargo.lock'), { force: true });
          const lock = await fetched(project, [], beside);
          if (before !== undefined) assert.equal(lock, before);
        });
      }
    }

    try {
      if (!(await tally.check('cargo: the server finds the registry of this machine', () => server.start()))) return;
      await everything('from the registry', true);
      note(`${await server.metric('entrepot_upstream_requests_total')} upstream requests`);
      await server.stop();
      server.repositories = { crates: { type: 'cargo', upstream: 'http://127.0.0.1:9', cache: CACHE } };
      await server.start();
      await everything('with the upstream refused', false);
      await tally.check('cargo: the upstream was asked for nothing', async () => {
        assert.equal(await server.metric('entrepot_upstream_requests_total'), 0);
      });
    } finally {
      await server.kill();
    }
  });
}
