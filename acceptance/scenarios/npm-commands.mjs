import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { outputOf } from '@entrepot/fixtures/run-command';
import { chooseClient, runClient } from '../clients/npm.mjs';

/** @import { FixtureApplication } from '@entrepot/fixtures/npm-application' */
/** @import { FixtureRegistry } from '../servers/npm-registry.mjs' */
/** @import { Tally } from '../tally.mjs' */

/** Of the user `team` of the repository `guarded`. */
export const TEAM_PASSWORD = 'only:for the team';

/**
 * Checks npm's other commands, and how npm shows refusals.
 * @param {object} setting
 * @param {Tally} setting.tally
 * @param {string} setting.folder
 * @param {FixtureApplication} setting.application
 * @param {FixtureRegistry} setting.registry
 * @param {string} setting.url of the repository
 */
export async function npmCommands({ tally, folder, application, registry, url }) {
  const npm = chooseClient('npm');
  const place = { home: join(folder, 'npm-commands-home'), project: join(folder, 'npm-commands'), registry: url };
  await mkdir(place.project, { recursive: true });
  const run = (/** @type {string[]} */ ...args) => runClient(npm, args, place);
  const succeed = async (/** @type {string[]} */ ...args) => {
    const result = await run(...args);
    assert.equal(result.code, 0, outputOf(result));
    return result;
  };

  await tally.check('npm view', async () => {
    const { stdout } = await succeed('view', '@acme/odd-scoped', '--json');
    const shown = JSON.parse(stdout);
    assert.equal(shown.version, '1.0.0');
    assert.equal(shown.dist.tarball, `${url}/@acme/odd-scoped/-/odd-scoped-1.0.0.tgz`);
  });
  await tally.check('npm view of a range, with times', async () => {
    const { stdout } = await succeed('view', 'many-versions@^2.98.0', 'version', '--json');
    assert.deepEqual(JSON.parse(stdout), ['2.98.0', '2.99.0']);
    const times = JSON.parse((await succeed('view', 'many-versions', 'time', '--json')).stdout);
    assert.equal(Object.keys(times).length, 403);
  });
  await tally.check('npm dist-tag ls', async () => {
    const { stdout } = await succeed('dist-tag', 'ls', 'many-versions');
    assert.deepEqual(stdout.trim().split('\n').sort(), ['beta: 5.0.0-beta.1', 'latest: 4.99.0', 'previous: 3.99.0']);
  });
  await tally.check('npm ping', async () => {
    await succeed('ping');
  });
  await tally.check('npm search', async () => {
    const { stdout } = await succeed('search', 'odd-tarball', '--json');
    assert.deepEqual(
      JSON.parse(stdout).map((/** @type {{ name: string }} */ found) => found.name),
      ['odd-tarball'],
    );
  });
  await tally.check('npm pack', async () => {
    const [packed] = JSON.parse((await succeed('pack', '@acme/ui-07', '--json')).stdout);
    const bytes = await readFile(join(place.project, packed.filename));
    const { shasum } = application.packages.get('@acme/ui-07')?.versions.get('3.1.0') ?? {};
    assert.equal(createHash('sha1').update(bytes).digest('hex'), shasum);
  });
  await tally.check('npm audit', async () => {
    const manifest = { name: 'audited', version: '1.0.0', dependencies: { 'legacy-sum': '0.0.9', 'leaf-01': '1.2.3' } };
    await writeFile(join(place.project, 'package.json'), JSON.stringify(manifest));
    await succeed('install', '--ignore-scripts');
    const result = await run('audit', '--json');
    assert.equal(result.code, 1, outputOf(result));
    assert.equal(JSON.parse(result.stdout).vulnerabilities['legacy-sum'].severity, 'high');
    assert.deepEqual(registry.audited.sort(), ['leaf-01', 'legacy-sum']);
  });
  await tally.check('npm install runs a command of a package', async () => {
    const result = await succeed('exec', '--yes', '--package=command-line', '--', 'command-line');
    assert.match(result.stdout, /ran command-line@1\.1\.0/);
  });
  await tally.check('npm says which name is not there', async () => {
    const result = await run('view', 'no-such-name');
    assert.notEqual(result.code, 0);
    assert.match(result.stderr, /E404/);
    assert.match(result.stderr, /no-such-name/);
  });
  await tally.check('npm shows why a proxy takes no publication', async () => {
    const place = { home: join(folder, 'npm-publish-home'), project: join(folder, 'npm-publish'), registry: url };
    await mkdir(place.project, { recursive: true });
    await writeFile(join(place.project, 'package.json'), JSON.stringify({ name: 'leaf-01', version: '9.9.9' }));
    // npm does not try to publish without a token.
    const token = `--//${new URL(url).host}/npm/:_authToken=none`;
    const result = await runClient(npm, ['publish', '--ignore-scripts', token], place);
    assert.notEqual(result.code, 0, outputOf(result));
    assert.match(result.stderr, /E40[35]/, outputOf(result));
    assert.doesNotMatch(result.stderr, /E5\d\d/);
  });
  await tally.check('npm installs from a guarded repository with a password, and says that it needs one', async () => {
    const guarded = url.replace(/npm$/, 'guarded');
    const place = { home: join(folder, 'npm-login-home'), project: join(folder, 'npm-login'), registry: guarded };
    await mkdir(place.project, { recursive: true });
    const manifest = { name: 'login', version: '1.0.0', dependencies: { 'leaf-01': '*' } };
    await writeFile(join(place.project, 'package.json'), JSON.stringify(manifest));
    const login = (/** @type {string} */ password) =>
      `--//${new URL(url).host}/guarded/:_auth=${Buffer.from(`team:${password}`).toString('base64')}`;
    for (const words of [[], [login('another')]]) {
      const refused = await runClient(npm, ['install', ...words], place);
      assert.notEqual(refused.code, 0);
      assert.match(refused.stderr, /E401/, outputOf(refused));
    }
    const installed = await runClient(npm, ['install', login(TEAM_PASSWORD)], place);
    assert.equal(installed.code, 0, outputOf(installed));
    await readFile(join(place.project, 'node_modules/leaf-01/package.json'));
  });
}
