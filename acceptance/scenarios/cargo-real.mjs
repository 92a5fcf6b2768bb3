import { strict as assert } from 'node:assert';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { get } from '@entrepot/fixtures/get';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';
import { withScratch } from '@entrepot/fixtures/scratch';
import { cargoProgram, hasCargo, newHome, newProject, runCargo } from '@entrepot/fixtures/cargo';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { note } from '../tally.mjs';

/** @import { Tally } from '../tally.mjs' */

/** A tree of this size is a large one. */
const LARGE = 900;
/**
 * Programs with a lockfile of their own, which are published as crates.
 * @type {readonly { name: string, version: string, builds?: boolean, least?: number }[]}
 */
const PROGRAMS = [
  { name: 'ripgrep', version: '14.1.1', builds: true },
  { name: 'deno', version: '2.9.8', least: LARGE },
];
/**
 * Trees that are resolved anew.
 * @type {readonly { name: string, dependency: string, least?: number }[]}
 */
const LIBRARIES = [
  { name: 'tokio', dependency: 'tokio = { version = "1", features = ["full"], registry = "here" }' },
  { name: 'deno', dependency: 'deno = { version = "=2.9.8", registry = "here" }', least: LARGE },
];
/** A tree that a cargo of 2022 can read. */
const OLD_TREE = 'serde_json = "=1.0.96"\nitoa = "=1.0.6"\nryu = "=1.0.13"\nserde = "=1.0.160"';
/**
 * Tries what cargo does by itself. Over plain http it asks for one thing after the other, and what has waited for 30 seconds has timed out:
 * from a slow upstream, a large tree needs its retries.
 */
const STOCK = { CARGO_NET_RETRY: '3' };
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
    const [today, old] = [await cargoProgram('cargo-1.96'), await cargoProgram('cargo-1.65')];
    /** The program that is run instead of the cargo of this machine. @type {import('@entrepot/fixtures/cargo').CargoProgram | undefined} */
    let program;

    /**
     * Fetches a tree into an empty home, and gives its lockfile.
     * @param {string} project @param {readonly string[]} args @param {Parameters<typeof newHome>[1]} settings @param {number} [least]
     */
    async function fetched(project, args, settings, least = 1) {
      await newHome(home, settings);
      const started = performance.now();
      const result = await runCargo(['fetch', ...args], { home, project, timeout: 900_000, program, settings: STOCK });
      assert.equal(result.code, 0, outputOf(result));
      const lock = await readFile(join(project, 'Cargo.lock'), 'utf8');
      const crates = lock.split('[[package]]').length - 2;
      note(
        `${project.slice(folder.length + 1)}: ${crates} crates in ${((performance.now() - started) / 1000).toFixed(1)} s`,
      );
      assert.ok(crates >= least, `${least} crates were expected, found ${crates}`);
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
      for (const wanted of PROGRAMS) {
        await tally.check(`cargo: ${wanted.name} ${wanted.version} with its own lockfile, ${when}`, async () => {
          const project = await unpacked(wanted);
          await fetched(project, ['--locked'], replaced, wanted.least);
          if (wanted.builds !== true) return;
          const result = await runCargo(['build', '--locked'], { home, project, timeout: 900_000, program });
          assert.equal(result.code, 0, outputOf(result));
        });
      }
      for (const { name, dependency, least } of LIBRARIES) {
        await tally.check(`cargo: the tree of ${name} from a registry beside it, ${when}`, async () => {
          const project = join(folder, `${name}-tree`);
          if (resolves) {
            await mkdir(project, { recursive: true });
            await newProject(project, { dependencies: dependency });
          }
          const before = resolves ? undefined : await readFile(join(project, 'Cargo.lock'), 'utf8');
          await rm(join(project, 'Cargo.lock'), { force: true });
          const lock = await fetched(project, [], beside, least);
          if (before !== undefined) assert.equal(lock, before);
        });
      }
    }

    /** @param {string} when */
    async function ofOldCargo(when) {
      if (old === undefined) return;
      program = old;
      for (const settings of [replaced, beside]) {
        const how = settings === replaced ? 'in place of it' : 'beside it';
        await tally.check(`cargo: a small tree by cargo 1.65 and its unstable reader, ${how}, ${when}`, async () => {
          const project = join(folder, 'old');
          const registry = settings === replaced ? '$1' : '{ version = $1, registry = "here" }';
          await newProject(project, { dependencies: OLD_TREE.replaceAll(/(?<== )(".*")/g, registry) });
          await fetched(project, [], { ...settings, isOld: true });
        });
      }
      program = undefined;
    }

    try {
      if (!(await tally.check('cargo: the server finds the registry of this machine', () => server.start()))) return;
      await everything('from the registry', true);
      await ofOldCargo('from the registry');
      note(`${await server.metric('entrepot_upstream_requests_total')} upstream requests`);
      await server.stop();
      server.repositories = { crates: { type: 'cargo', upstream: 'http://127.0.0.1:9', cache: CACHE } };
      await server.start();
      await everything('with the upstream refused', false);
      await ofOldCargo('with the upstream refused');
      if (today !== undefined) {
        program = today;
        await everything('by cargo 1.96, with the upstream refused', false);
      }
      await tally.check('cargo: the upstream was asked for nothing', async () => {
        assert.equal(await server.metric('entrepot_upstream_requests_total'), 0);
      });
    } finally {
      await server.kill();
    }
  });
}
