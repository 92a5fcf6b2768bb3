import { strict as assert } from 'node:assert';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeGrypeArchive, writeGrypeDatabase } from '@entrepot/fixtures/grype-database';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';
import { withScratch } from '@entrepot/fixtures/scratch';
import { provideTool } from '@entrepot/fixtures/tools';
import grype from '@entrepot/plugin-scanner-grype';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import {
  ADVISORIES,
  CASES,
  create,
  idsOf,
  imageSet,
  judge,
  judgeImages,
  judgeUpdates,
  live,
  SILENCERS,
} from './scanner-cases.mjs';
import { scanningHost } from './scanning-host.mjs';

/** @import { ScanSubject } from '@entrepot/core' */
/** @import { FixtureAdvisory } from '@entrepot/fixtures/trivy-database' */
/** @import { Tally } from '../tally.mjs' */

const VULNERABLE = /** @type {ScanSubject} */ (CASES[0]?.[0]);

/**
 * The real Grype over databases of our own, by itself and behind a server.
 * @param {Tally} tally
 */
export async function grypeScenario(tally) {
  const command = await provideTool('grype');
  if (command === undefined) return;
  await withScratch('grype', (folder) => alone({ tally, command, folder }));
  const scanner = {
    type: 'grype',
    command,
    /** @param {string} directory @param {readonly FixtureAdvisory[]} advisories @param {{ builtAt: number }} options */
    writeDatabase: (directory, advisories, options) => writeGrypeDatabase(command, directory, advisories, options),
  };
  await withScratch('scanning', (folder) => scanningHost({ tally, name: 'grype', scanner, folder, image: imageSet() }));
}

/** @param {{ tally: Tally, command: string, folder: string }} scene */
async function alone({ tally, command, folder }) {
  const directory = join(folder, 'database');
  await writeGrypeDatabase(command, directory, ADVISORIES);
  const scanner = await create(grype, { command, directory, updates: false });
  try {
    await tally.check('grype: is ready', () => scanner.check());
    await tally.check('grype: finds npm packages, wheels, Go modules and Debian packages at once', () =>
      judge(scanner),
    );
    await tally.check('grype: says what is exploited, how likely that is, and how bad', async () => {
      const { findings } = await scanner.scan(VULNERABLE, live());
      const [{ exploited, epss, severity, cvss, fixedIn } = {}] = findings;
      const expected = { exploited: true, epss: 0.5, severity: 'high', cvss: 7.5, fixedIn: ['4.17.21'] };
      assert.deepEqual({ exploited, epss, severity, cvss, fixedIn }, expected);
    });
    await tally.check('grype: finds what is in an image, whatever it brings along to silence it', () =>
      judgeImages(scanner),
    );
    await tally.check('grype: what lies beside it silences the program, but not the scanner', async () => {
      const beside = join(folder, 'beside');
      await mkdir(beside);
      for (const [file, text] of Object.entries(SILENCERS)) await writeFile(join(beside, file), text);
      assert.deepEqual(await silenced(command, { beside, directory }), [], 'the files were expected to work');
      const before = process.cwd();
      process.chdir(beside);
      process.env.GRYPE_ONLY_FIXED = 'true';
      process.env.GRYPE_CONFIG = join(beside, '.grype.yaml');
      try {
        await judge(scanner);
      } finally {
        delete process.env.GRYPE_ONLY_FIXED;
        delete process.env.GRYPE_CONFIG;
        process.chdir(before);
      }
    });
    await tally.check('grype: without a database it is not ready, and nothing is clean', async () => {
      const without = await create(grype, { command, directory: join(folder, 'none'), updates: false });
      await assert.rejects(without.check(), { code: 'SCAN_UNAVAILABLE' });
      await assert.rejects(without.scan(VULNERABLE, live()), { code: 'SCAN_UNAVAILABLE' });
    });
    await tally.check('grype: says nothing with a database that is too old', async () => {
      const old = join(folder, 'old');
      await writeGrypeDatabase(command, old, ADVISORIES, { builtAt: Date.now() - 30 * 86_400_000 });
      const stale = await create(grype, { command, directory: old, updates: false });
      await assert.rejects(stale.scan(VULNERABLE, live()), { code: 'SCAN_STALE' });
      const patient = await create(grype, { command, directory: old, updates: false, maxAge: '90d' });
      assert.deepEqual(idsOf(await patient.scan(VULNERABLE, live())), ['CVE-2026-0001']);
    });
    await tally.check('grype: takes its database from a repository of Entrepot', () =>
      throughEntrepot({ command, folder }),
    );
  } finally {
    await scanner.dispose?.();
  }
}

/**
 * Findings of the program itself in a folder with files that silence it.
 * @param {string} command
 * @param {{ beside: string, directory: string }} options
 */
async function silenced(command, { beside, directory }) {
  const env = {
    PATH: process.env.PATH,
    GRYPE_DB_CACHE_DIR: directory,
    GRYPE_DB_AUTO_UPDATE: 'false',
    GRYPE_CHECK_FOR_APP_UPDATE: 'false',
  };
  const result = await runCommand([command, 'pkg:npm/lodash@4.17.20', '-q', '-o', 'json'], {
    cwd: beside,
    env,
    timeout: 60_000,
  });
  assert.equal(result.code, 0, outputOf(result));
  return JSON.parse(result.stdout).matches;
}

/** @param {{ command: string, folder: string }} options */
async function throughEntrepot({ command, folder }) {
  const place = join(folder, 'server');
  await mkdir(place);
  const repositories = { databases: { type: 'files', kind: 'hosted', access: { anonymous: 'write' } } };
  const server = new EntrepotServer({ folder: place, port: await freePort(), repositories });
  await server.start();
  try {
    const { name, archive, latest } = await makeGrypeArchive(join(folder, 'made'), ADVISORIES);
    const databases = `${server.url}/databases/v6`;
    for (const [file, body] of /** @type {const} */ ([
      [name, archive],
      ['latest.json', latest],
    ])) {
      const response = await fetch(`${databases}/${file}`, { method: 'PUT', body: new Uint8Array(Buffer.from(body)) });
      assert.equal(response.status, 201, await response.text());
    }
    const options = { command, directory: join(folder, 'pulled'), databaseUrl: `${databases}/latest.json` };
    await judgeUpdates(await create(grype, options));
  } finally {
    await server.stop();
  }
}
