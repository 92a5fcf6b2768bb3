import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import { fixtureCrate, publication } from '@entrepot/fixtures/cargo-crates';
import { get } from '@entrepot/fixtures/get';
import { outputOf } from '@entrepot/fixtures/run-command';
import { emptied } from '@entrepot/fixtures/scratch';
import { newHome, newProject, runCargo } from '@entrepot/fixtures/cargo';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';

/** @import { Tally } from '../tally.mjs' */

/** Publications at the same time. */
const AT_ONCE = 20;
const [CI, READER, TEAM] = ['ci:password-of-ci', 'host:password-of-host', 'team:password-of-team'];

/**
 * Registries of one's own: cargo publishes, yanks and builds with a token, and is refused without one.
 * @param {Tally} tally
 * @param {string} folder
 */
export async function cargoHosted(tally, folder) {
  const place = await emptied(join(folder, 'hosted'));
  const users = {
    ci: { password: '${env:CI_PASSWORD}', may: 'write' },
    host: { password: '${env:HOST_PASSWORD}', may: 'read' },
    team: { password: '${env:TEAM_PASSWORD}', may: 'write', names: ['team-*'] },
  };
  const server = new EntrepotServer({
    folder: place,
    port: await freePort(),
    repositories: {
      open: { type: 'cargo', kind: 'hosted', access: { anonymous: 'read', users } },
      closed: { type: 'cargo', kind: 'hosted', access: { anonymous: 'none', users } },
    },
    env: { CI_PASSWORD: 'password-of-ci', HOST_PASSWORD: 'password-of-host', TEAM_PASSWORD: 'password-of-team' },
  });
  const home = join(place, 'home');
  const registries = { open: `${server.url}/open`, closed: `${server.url}/closed` };

  /** @param {string} project @param {readonly string[]} args @param {string | undefined} token */
  const cargo = (project, args, token) =>
    runCargo(args, {
      home,
      project: join(place, project),
      settings: token === undefined ? {} : { CARGO_REGISTRIES_OPEN_TOKEN: token, CARGO_REGISTRIES_CLOSED_TOKEN: token },
    });

  /** @param {string} registry @param {string} name */
  const library = async (registry, name) => {
    await newProject(join(place, name), { name, dependencies: '' });
    const result = await cargo(name, ['publish', '--allow-dirty', '--registry', registry], CI);
    assert.equal(result.code, 0, outputOf(result));
    assert.match(result.stderr, /Published/, outputOf(result));
  };

  try {
    if (!(await tally.check('hosted cargo: the server starts', () => server.start()))) return;
    await newHome(home, { registries });
    for (const registry of ['open', 'closed']) {
      await tally.check(`hosted cargo: cargo publishes to ${registry} with a token, and sees it at once`, () =>
        library(registry, `lib-${registry}`),
      );
      await tally.check(`hosted cargo: ${registry} takes nothing of others`, async () => {
        for (const token of [undefined, READER, 'ci:wrong', 'wrong']) {
          const project = `other-${registry}`;
          await newProject(join(place, project), { name: project, dependencies: '' });
          const args = ['publish', '--allow-dirty', '--no-verify', '--registry', registry];
          const result = await cargo(project, args, token);
          assert.notEqual(result.code, 0, outputOf(result));
        }
        const index = await get(`${server.url}/${registry}/ot/he/other-${registry}`, {
          headers: { authorization: CI },
        });
        assert.equal(index.status, 404);
      });
      await tally.check(
        `hosted cargo: ${registry} refuses a version that it has, to who does not look first`,
        async () => {
          const crate = fixtureCrate({ name: `lib-${registry}`, version: '0.1.0', filling: 3 });
          const answer = await put(`${server.url}/${registry}`, crate);
          assert.equal(answer.status, 409, answer.body.toString());
          assert.match(answer.body.toString(), /already published/);
        },
      );
    }
    await tally.check('hosted cargo: a user for some names publishes and yanks those alone', async () => {
      for (const name of ['team-tools', 'other-tools']) {
        await newProject(join(place, name), { name, dependencies: '' });
        for (const [args, expected] of /** @type {const} */ ([
          [['publish', '--allow-dirty', '--no-verify'], /Published/],
          [['yank', `${name}@0.1.0`], /Yank/],
          [['yank', '--undo', `${name}@0.1.0`], /Unyank/],
          [['owner', '--list', name], /team/],
        ])) {
          const result = await cargo(name, [...args, '--registry', 'closed'], TEAM);
          const isHis = name === 'team-tools';
          assert.equal(result.code === 0, isHis, outputOf(result));
          assert.match(
            `${result.stdout}\n${result.stderr}`,
            isHis ? expected : /team may not (write to|read from)/,
            outputOf(result),
          );
        }
      }
      // Crates of somebody else are refused as those that are not there.
      for (const [method, path] of /** @type {const} */ ([
        ['DELETE', 'lib-closed/0.1.0/yank'],
        ['PUT', 'lib-closed/0.1.0/unyank'],
        ['PUT', 'lib-closed/owners'],
        ['DELETE', 'lib-closed/owners'],
        ['GET', 'lib-closed/owners'],
      ])) {
        const answer = await get(`${registries.closed}/api/v1/crates/${path}`, {
          method,
          headers: { authorization: TEAM },
          ...(method === 'PUT' && path.endsWith('owners') && { body: '{"users":["team"]}' }),
        });
        assert.equal(answer.status, 403, `${method} ${path}: ${answer.status} ${answer.body.toString()}`);
      }
      const own = fixtureCrate({ name: 'lib-closed', version: '0.2.0' });
      const taken = await put(registries.closed, own, TEAM);
      assert.equal(taken.status, 403, taken.body.toString());
      const index = await get(`${registries.closed}/li/b-/lib-closed`, { headers: { authorization: CI } });
      assert.equal(index.body.toString().trim().split('\n').length, 1);
      assert.match(index.body.toString(), /"yanked":false/);
    });
    await tally.check(
      `hosted cargo: ${AT_ONCE} publications at once lose nothing, and cargo builds with all of them`,
      async () => {
        const crates = Array.from({ length: AT_ONCE }, (_, at) =>
          fixtureCrate({ name: `many${at}`, version: '1.0.0' }),
        );
        const versions = Array.from({ length: AT_ONCE }, (_, at) =>
          fixtureCrate({ name: 'one', version: `1.${at}.0` }),
        );
        const answers = await Promise.all([...crates, ...versions].map((crate) => put(registries.closed, crate)));
        assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
        const index = await get(`${registries.closed}/3/o/one`, { headers: { authorization: CI } });
        assert.equal(index.body.toString().trim().split('\n').length, AT_ONCE);
        const uses = [...crates.map(({ name }) => name), 'one'];
        const dependencies = uses.map((name) => `${name} = { version = "1", registry = "closed" }`).join('\n');
        await newProject(join(place, 'user'), { dependencies, uses });
        const result = await cargo('user', ['run', '--quiet'], READER);
        assert.equal(result.stdout.trim(), String(uses.length), outputOf(result));
      },
    );
    await tally.check('hosted cargo: nobody reads a closed one without a token', async () => {
      await newHome(home, { registries });
      const result = await cargo('user', ['fetch'], undefined);
      assert.notEqual(result.code, 0, outputOf(result));
      assert.match(result.stderr, /no token found for `closed`/, outputOf(result));
      assert.equal((await get(`${registries.closed}/api/v1/crates/one/1.0.0/download`)).status, 401);
    });
    await tally.check('hosted cargo: yank, its undoing, owner and search', async () => {
      for (const [args, expected] of /** @type {const} */ ([
        [['yank', 'one@1.19.0'], /Yank/],
        [['yank', '--undo', 'one@1.19.0'], /Unyank/],
        [['yank', 'one@1.19.0'], /Yank/],
        [['owner', '--list', 'one'], /^ci/m],
        [['search', 'one'], /^one = "1\.18\.0"/m],
      ])) {
        const result = await cargo('user', [...args, '--registry', 'closed'], CI);
        assert.equal(result.code, 0, outputOf(result));
        assert.match(`${result.stdout}\n${result.stderr}`, expected, outputOf(result));
      }
      const refused = await cargo('user', ['owner', '--add', 'eve', 'one', '--registry', 'closed'], CI);
      assert.match(refused.stderr, /owners are the users/, outputOf(refused));
      await newProject(join(place, 'new'), {
        dependencies: 'one = { version = "1", registry = "closed" }',
        uses: ['one'],
      });
      const built = await cargo('new', ['tree'], CI);
      assert.match(built.stdout, /one v1\.18\.0/, outputOf(built));
      const locked = await cargo('user', ['fetch', '--locked'], CI);
      assert.equal(locked.code, 0, outputOf(locked));
    });
    await tally.check('hosted cargo: what was published is there after a restart', async () => {
      await server.stop();
      await server.start();
      await newHome(home, { registries });
      const result = await cargo('user', ['fetch', '--locked'], CI);
      assert.equal(result.code, 0, outputOf(result));
    });
  } finally {
    await server.kill();
  }
}

/**
 * Publishes without looking first.
 * @param {string} url @param {import('@entrepot/fixtures/cargo-crates').FixtureCrate} crate @param {string} [token]
 */
function put(url, crate, token = CI) {
  return get(`${url}/api/v1/crates/new`, {
    method: 'PUT',
    headers: { authorization: token },
    body: publication(crate),
  });
}
