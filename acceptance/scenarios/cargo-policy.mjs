import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newHome, newProject, runCargo } from '@entrepot/fixtures/cargo';
import { fixtureCrate } from '@entrepot/fixtures/cargo-crates';
import { get } from '@entrepot/fixtures/get';
import { ADVISORY, AdvisoryFolder } from '@entrepot/fixtures/policy-packages';
import { outputOf } from '@entrepot/fixtures/run-command';
import { emptied } from '@entrepot/fixtures/scratch';
import { cargoDoors } from '../clients/cargo-doors.mjs';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { note } from '../tally.mjs';
import { until } from './policy-databases.mjs';

/** @import { CargoIndex } from '../servers/cargo-index.mjs' */
/** @import { Tally } from '../tally.mjs' */

const OLD = '2024-01-02T03:04:05Z';
const [GOOD, REFUSED] = ['1.0.0', '1.1.0'];
/** Crates whose newest version a rule is against, with what cargo is to say of it. */
const CASES = [
  {
    name: 'advised',
    what: 'an advisory',
    says: new RegExp(`is denied: ${ADVISORY}[^(]*\\(high\\) \\(rule vulnerable\\)`),
  },
  { name: 'recent', what: 'a cooldown', says: /is held: released .*younger than 7d.*\(rule cooldown\)/ },
  { name: 'licensed', what: 'a denied licence', says: /is denied: .*AGPL-3\.0-only.*\(rule licence\)/ },
];
const POLICY = {
  version: 1,
  rules: [
    { id: 'vulnerable', when: { vuln: { severity: '>=high' } }, action: 'deny' },
    { id: 'cooldown', match: { ecosystems: ['cargo'] }, when: { age: { lt: '7d' } }, action: 'hold' },
    { id: 'licence', when: { licenses: { deny: ['AGPL-*'] } }, action: 'deny' },
  ],
};

/** The crates of the cases: each has a version that nothing is against, and a newer one. */
function crates() {
  const recent = new Date(Date.now() - 86_400_000).toISOString().replace(/\.\d+/, '');
  return CASES.flatMap(({ name }) => [
    fixtureCrate({ name, version: GOOD, published: OLD, license: 'MIT/Apache-2.0' }),
    fixtureCrate({
      name,
      version: REFUSED,
      published: name === 'recent' ? recent : OLD,
      license: name === 'licensed' ? 'AGPL-3.0-only' : 'MIT',
    }),
  ]);
}

/**
 * Real cargo and what policy knows of crates: an advisory, a date, a licence. A new resolution takes another version, a lockfile from before
 * is told why, and no form of a URL leads past that.
 * @param {Tally} tally
 * @param {string} folder
 * @param {CargoIndex} upstream
 */
export async function cargoPolicy(tally, folder, upstream) {
  const place = await emptied(join(folder, 'policy'));
  const before = upstream.crates;
  upstream.crates = [...before, ...crates()];
  const advisories = new AdvisoryFolder(join(place, 'advisories'));
  await advisories.add('crates.test', ADVISORY, { name: 'advised', versions: [REFUSED] });
  const file = join(place, 'policy.yaml');
  await writeFile(file, JSON.stringify(POLICY));
  const upstreams = [{ url: upstream.url }, { url: upstream.url, scope: 'api' }];
  const server = new EntrepotServer({
    folder: place,
    port: await freePort(),
    repositories: { crates: { type: 'cargo', upstreams } },
    more: {
      policy: { file },
      scanners: [{ type: 'osv', from: advisories.path, directory: join(place, 'osv'), updateInterval: '1s' }],
    },
  });
  const [home, project] = [join(place, 'home'), join(place, 'project')];

  /** Wants a crate, of a registry, perhaps with a lockfile. @param {string} index @param {string} name @param {string} [lock] */
  const fetched = async (index, name, lock) => {
    await newHome(home, { registries: { here: index }, replaces: 'here' });
    await newProject(project, { dependencies: `${name} = "1"` });
    if (lock !== undefined) await writeFile(join(project, 'Cargo.lock'), lock);
    return await runCargo(['fetch', ...(lock === undefined ? [] : ['--locked'])], { home, project });
  };
  const lockfile = () => readFile(join(project, 'Cargo.lock'), 'utf8');

  try {
    const isReady = await tally.check('cargo: the server starts, and has its advisory database', async () => {
      await server.start();
      await until('the database', async () => {
        const { body } = await get(`${server.url}/-/api/v1/scans`);
        return JSON.parse(body.toString()).scanners[0].databaseDate !== undefined;
      });
    });
    if (!isReady) return;
    const url = `${server.url}/crates`;
    for (const { name, what, says } of CASES) {
      await tally.check(`cargo: ${what}: a new resolution takes another version`, async () => {
        const result = await fetched(url, name);
        assert.equal(result.code, 0, outputOf(result));
        assert.match(await lockfile(), new RegExp(`name = "${name}"\nversion = "${GOOD}"`));
      });
      await tally.check(`cargo: ${what}: a lockfile from before is told why`, async () => {
        const past = await fetched(upstream.url, name);
        assert.equal(past.code, 0, outputOf(past));
        const lock = await lockfile();
        assert.match(lock, new RegExp(`name = "${name}"\nversion = "${REFUSED}"`));
        const result = await fetched(url, name, lock);
        assert.notEqual(result.code, 0, outputOf(result));
        assert.match(result.stderr, says, outputOf(result));
        assert.ok(result.stderr.includes(`pkg:cargo/${name}@${REFUSED}`), outputOf(result));
      });
    }
    await tally.check('cargo: no form of a URL leads to a refused version', async () => {
      let asked = 0;
      let refused = 0;
      for (const { name, archive, version } of upstream.crates.filter((crate) => crate.version === REFUSED)) {
        const cksum = createHash('sha256').update(archive).digest('hex');
        for (const door of cargoDoors({ name, version, cksum })) {
          for (const method of ['GET', 'HEAD']) {
            const answer = await get(url + door, { method });
            asked += 1;
            refused += answer.status === 403 ? 1 : 0;
            assert.ok(answer.status >= 400, `${method} ${door}: ${answer.status}`);
          }
        }
      }
      note(`${asked} requests for refused crates, 0 of them allowed, ${refused} refused by policy`);
      assert.ok(refused >= CASES.length, 'replies of 403 were expected');
    });
  } finally {
    upstream.crates = before;
    await server.kill();
  }
}
