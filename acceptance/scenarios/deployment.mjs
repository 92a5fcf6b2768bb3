import { strict as assert } from 'node:assert';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';
import { withScratch } from '@entrepot/fixtures/scratch';
import { provideTool } from '@entrepot/fixtures/tools';
import { parse } from 'yaml';
import { fromJSONSchema } from 'zod';
import { MAIN } from '../servers/entrepot.mjs';

/** @import { Tally } from '../tally.mjs' */
/** @import { ToolName } from '@entrepot/fixtures/tools' */

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** The highest exposure of the unit, in tenths, by the measure of systemd: of 100. */
const EXPOSURE = 20;

/** Compose files, the configurations that they mount, and what those expect in the environment. */
const COMPOSE = [
  { file: 'compose.yaml', configuration: 'compose/entrepot.yaml', env: {} },
  {
    file: 'compose.full.yaml',
    configuration: 'compose/entrepot.full.yaml',
    env: { DATABASE_PASSWORD: 'd', REDIS_PASSWORD: 'r', S3_SECRET: 's', TOKEN_KEY: 't'.repeat(32) },
  },
];

/**
 * The files of deploy/ by the programs that know their formats.
 * @param {Tally} tally
 */
export async function deployment(tally) {
  await composeFiles(tally);
  await unit(tally);
  await linted(tally, 'hadolint', ['deploy/Dockerfile']);
  await linted(tally, 'shellcheck', ['.ci/run']);
}

/** @param {Tally} tally */
async function composeFiles(tally) {
  const schema = await provideTool('compose-schema');
  for (const { file, configuration, env } of COMPOSE) {
    const compose = parse(await readFile(join(ROOT, 'deploy', file), 'utf8'));
    if (schema !== undefined) {
      await tally.check(`deployment: ${file} has keys of compose files and no others`, async () => {
        // Durations are those of Go, not of ISO 8601.
        const form = JSON.parse(await readFile(schema, 'utf8'), (key, value) =>
          key === 'format' && value === 'duration' ? undefined : value,
        );
        // It is older than the names of projects, and uses nothing that is not in this draft, too.
        form.properties.name = { type: 'string' };
        const checked = fromJSONSchema({ ...form, $schema: 'http://json-schema.org/draft-07/schema#' });
        const wrong = { ...compose, services: { ...compose.services, wrong: { image: 'x', read_onyl: true } } };
        assert.ok(!checked.safeParse(wrong).success, 'a key that is none was expected to be refused');
        assert.deepEqual(checked.safeParse(compose).error?.issues ?? [], []);
      });
    }
    await tally.check(`deployment: the configuration of ${file} is valid`, async () => {
      const { volumes, environment = {} } = compose.services.entrepot;
      assert.ok(volumes.includes(`./${configuration}:/etc/entrepot/entrepot.yaml:ro`), 'it was expected to be mounted');
      assert.deepEqual(Object.keys(environment).toSorted(), Object.keys(env).toSorted());
      const command = [process.execPath, MAIN, 'validate', '-c', join(ROOT, 'deploy', configuration)];
      // As in a container: no programs and settings of clients name upstreams.
      await withScratch('deployment', async (home) => {
        const options = { cwd: home, env: { PATH: home, HOME: home, ...env }, timeout: 60_000 };
        const result = await runCommand(command, options);
        assert.equal(result.code, 0, outputOf(result));
      });
    });
    await tally.check(`deployment: ${file} gives its server no more rights than it needs`, () => {
      const { read_only: isReadOnly, cap_drop: dropped, security_opt: options } = compose.services.entrepot;
      assert.deepEqual([isReadOnly, dropped, options], [true, ['ALL'], ['no-new-privileges:true']]);
    });
  }
}

/** @param {Tally} tally */
async function unit(tally) {
  const program = await provideTool('systemd-analyze');
  if (program === undefined) return;
  await withScratch('unit', async (folder) => {
    const text = await readFile(join(ROOT, 'deploy/systemd/entrepot.service'), 'utf8');
    const file = join(folder, 'entrepot.service');
    // A program that is on this machine: another one is a fault of the unit.
    await writeFile(file, text.replace(/^ExecStart=\S+/m, `ExecStart=${process.execPath}`));
    const run = (/** @type {readonly string[]} */ words) =>
      runCommand([program, ...words, file], { cwd: folder, env: process.env, timeout: 60_000 });
    await tally.check('deployment: the unit is one that systemd takes without a word', async () => {
      const result = await run(['verify', '--man=no']);
      assert.deepEqual([result.code, result.stdout, result.stderr], [0, '', '']);
    });
    await tally.check('deployment: the unit is as closed as it says', async () => {
      const result = await run(['security', '--offline=true', `--threshold=${EXPOSURE}`, '--no-pager']);
      assert.equal(result.code, 0, outputOf(result));
    });
  });
}

/** @param {Tally} tally @param {ToolName} name @param {readonly string[]} files */
async function linted(tally, name, files) {
  const program = await provideTool(name);
  if (program === undefined) return;
  await tally.check(`deployment: ${name} finds nothing in ${files.join(', ')}`, async () => {
    const result = await runCommand([program, ...files], { cwd: ROOT, env: process.env, timeout: 60_000 });
    assert.equal(result.code, 0, outputOf(result));
  });
}
