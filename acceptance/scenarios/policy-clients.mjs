import { strict as assert } from 'node:assert';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { get } from '@entrepot/fixtures/get';
import {
  ADVISORY,
  AdvisoryFolder,
  IMAGE,
  policyDocument,
  REFUSED,
  SUBJECT,
  VERSIONS,
} from '@entrepot/fixtures/policy-packages';
import { hasMaven } from '@entrepot/fixtures/maven';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';
import { withScratch } from '@entrepot/fixtures/scratch';
import { hasCargo } from '@entrepot/fixtures/cargo';
import { goClients } from '../clients/go.mjs';
import { settleMessages } from '../clients/message-table.mjs';
import {
  aptClient,
  cargoClient,
  goClient,
  helmClient,
  mavenClient,
  npmClient,
  pacmanClient,
  pythonClient,
  rpmPolicyClients,
  skopeoClient,
} from '../clients/policy.mjs';
import { EntrepotServer, freePort, MAIN } from '../servers/entrepot.mjs';
import { PolicyUpstreams } from '../servers/policy-upstreams.mjs';
import { note } from '../tally.mjs';
import { openDoors, tryEveryDoor } from './policy-bypass.mjs';
import { auditOffline, newlyVulnerable, until, withoutDatabase } from './policy-databases.mjs';

/** @import { Client } from '../clients/npm.mjs' */
/** @import { HelmClient } from '../clients/helm.mjs' */
/** @import { ClientMessages, Situation } from '../clients/message-table.mjs' */
/** @import { Outcome, PolicyClient, Way } from '../clients/policy.mjs' */
/** @import { PythonClient } from '../clients/python.mjs' */
/** @import { Tally } from '../tally.mjs' */

const TARBALL = (/** @type {string} */ version) => `/npm/${SUBJECT}/-/${SUBJECT}-${version}.tgz`;

/**
 * @typedef {object} PolicyScene
 * @property {Tally} tally
 * @property {string} folder
 * @property {string} file of the policy
 * @property {PolicyUpstreams} upstreams
 * @property {AdvisoryFolder} advisories
 * @property {EntrepotServer} server
 * @property {readonly PolicyClient[]} clients
 */

/**
 * Policy as people meet it: real clients that ask for versions that are hostile, vulnerable, too new, hidden or watched, in every
 * way that they have; what they print; and what follows when the policy, an exception or the advisory database changes.
 * @param {Tally} tally
 * @param {{ npm: readonly Client[], python: readonly PythonClient[], helm: readonly HelmClient[] }} families
 * @param {{ writeDocs: boolean }} options
 */
export async function policyClients(tally, families, { writeDocs }) {
  const [apt, pacman, skopeo] = [await aptClient(), await pacmanClient(), await skopeoClient()];
  const clients = [
    ...families.npm.map(npmClient),
    ...families.python.filter(({ name }) => name === 'uv' || name.startsWith('pip')).map(pythonClient),
    ...(await goClients()).map(goClient),
    ...((await hasCargo()) ? [cargoClient()] : []),
    ...((await hasMaven()) ? [mavenClient()] : []),
    ...families.helm.map(helmClient),
    ...[apt, ...(await rpmPolicyClients()), pacman, skopeo].filter((client) => client !== undefined),
  ];
  await withScratch('policy', async (folder) => {
    const upstreams = new PolicyUpstreams(join(folder, 'upstream'));
    const advisories = new AdvisoryFolder(join(folder, 'advisories'));
    const file = join(folder, 'policy.yaml');
    const server = new EntrepotServer({
      folder,
      port: await freePort(),
      repositories: {},
      more: {
        policy: { file },
        scanners: [{ type: 'osv', from: advisories.path, directory: join(folder, 'osv'), updateInterval: '1s' }],
      },
    });
    const scene = { tally, folder, file, upstreams, advisories, server, clients };
    try {
      await upstreams.start();
      server.repositories = upstreams.repositories();
      await run(scene, writeDocs);
    } finally {
      await server.kill();
      await upstreams.stop();
    }
  });
}

/** @param {PolicyScene} scene @param {boolean} writeDocs */
async function run(scene, writeDocs) {
  const { tally, server, advisories, upstreams, clients } = scene;
  await advisories.write();
  await setPolicy(scene, policyDocument({ mode: 'audit' }));
  const isReady = await tally.check('policy: the server starts, and has its advisory database', async () => {
    await server.start();
    await until('the database', async () => (await api(server, '/scans')).scanners[0].databaseDate !== undefined);
  });
  if (!isReady) return;
  await inAudit(scene);
  await reload(scene);

  /** @type {ClientMessages[]} */
  const seen = [];
  for (const client of clients) seen.push(await askFor(scene, client));
  await tally.check('policy: what clients print is what the table in the docs says', () =>
    settleMessages(seen, { write: writeDocs }),
  );
  await tally.check('policy: no way around it, over every format', async () => {
    const { asked, allowed, refused } = await tryEveryDoor(server.url, upstreams);
    note(`${asked} requests for refused versions, ${allowed.length} of them allowed`);
    assert.deepEqual(allowed, []);
    const formats = ['npm', 'PyPI', 'Go', 'Helm', 'Cargo', 'Maven', 'files', ...present(upstreams)];
    for (const format of formats) assert.ok((refused.get(format) ?? 0) > 0, `${format}: replies of 403 were expected`);
  });
  await tally.check('policy: the same ways lead to a good version', async () => {
    const open = await openDoors(server.url, upstreams);
    for (const format of ['npm', 'PyPI', 'Go', 'Helm', 'Cargo', 'Maven', ...present(upstreams)]) {
      // The index of an archive is signed, or its sums are, and stays as it is; that of a crate has refused versions as yanked.
      for (const kind of ['Debian', 'RPM', 'pacman', 'Cargo'].includes(format)
        ? ['artifact']
        : ['artifact', 'document']) {
        assert.ok((open.get(`${format} ${kind}`) ?? 0) > 0, `${format}: an open way to an ${kind} was expected`);
      }
    }
  });
  await explanations(scene);
  await exceptions(scene);
  await newlyVulnerable(scene);
  await withoutDatabase(scene);
  await auditOffline(scene);
  await tally.check('policy: the server stops with 0', () => server.stop());
}

/** Formats whose upstreams need programs of this machine. @param {PolicyUpstreams} upstreams */
function present({ deb, rpm, pacman, oci }) {
  return Object.entries({ Debian: deb, RPM: rpm, pacman, OCI: oci }).flatMap(([format, upstream]) =>
    upstream === undefined ? [] : [format],
  );
}

/** Everything is served, and what would be refused is recorded. @param {PolicyScene} scene */
async function inAudit({ tally, server, folder, upstreams, clients }) {
  for (const client of clients) {
    await tally.check(`policy: in audit, ${client.name} gets a hostile version`, async () => {
      const wanted = await client.get({ folder, url: server.url, upstreams }, 'pin', VERSIONS.malicious);
      assert.equal(wanted.version, VERSIONS.malicious, wanted.text);
    });
  }
  await tally.check('policy: in audit, it is recorded what would have been refused', async () => {
    // Also what no client of this run has asked for.
    assert.equal((await get(server.url + TARBALL(VERSIONS.malicious))).status, 200);
    assert.equal((await get(server.url + TARBALL(VERSIONS.fresh))).status, 200);
    for (const [version, wouldBe] of Object.entries({ [VERSIONS.malicious]: 'deny', [VERSIONS.fresh]: 'hold' })) {
      const { decisions } = await api(server, `/decisions?purl=pkg:npm/${SUBJECT}@${version}`);
      assert.ok(decisions.length > 0, `a decision on ${version} was expected`);
      for (const decision of decisions) {
        assert.equal(decision.wouldBe, wouldBe);
        assert.ok(['allow', 'warn'].includes(decision.action), `served was expected, found ${decision.action}`);
      }
    }
  });
  await tally.check('policy: in audit, refused versions of every kind are kept', async () => {
    for (const kind of /** @type {(keyof typeof REFUSED)[]} */ (Object.keys(REFUSED))) {
      assert.equal((await get(server.url + TARBALL(VERSIONS[kind]))).status, 200);
      if (upstreams.oci === undefined) continue;
      // Without its bytes nobody knows which digest a tag stands for.
      const image = await get(`${server.url}/v2/oci/${IMAGE}/manifests/${VERSIONS[kind]}`);
      const [child] = JSON.parse(image.body.toString()).manifests;
      assert.equal((await get(`${server.url}/v2/oci/${IMAGE}/manifests/${child.digest}`)).status, 200);
    }
  });
}

/** A file that is wrong changes nothing; one that is right takes effect while the server runs. @param {PolicyScene} scene */
async function reload(scene) {
  const { tally, server } = scene;
  const tarball = server.url + TARBALL(VERSIONS.malicious);
  await tally.check('policy: an invalid file is refused, and the one before stays in force', async () => {
    const before = await api(server, '/policy');
    await writeFile(scene.file, 'version: 1\nrules:\n  - id: nothing\n    action: explode\n');
    await until('a problem with the file', async () => (await api(server, '/policy')).problems.length > 0);
    const after = await api(server, '/policy');
    assert.equal(after.revision, before.revision);
    assert.match(JSON.stringify(after.problems), /rules.*action/);
    assert.equal((await get(tarball)).status, 200);
  });
  await tally.check('policy: a new file takes effect without a restart, on kept copies too', async () => {
    await setPolicy(scene, policyDocument());
    await until('a refusal', async () => (await get(tarball)).status === 403);
    assert.deepEqual((await api(server, '/policy')).problems, []);
  });
}

/**
 * One client wants every version in every way that it has.
 * @param {PolicyScene} scene
 * @param {PolicyClient} client
 * @returns {Promise<ClientMessages>}
 */
async function askFor({ tally, server, folder, upstreams }, client) {
  const place = { folder, url: server.url, upstreams };
  /** @type {Map<Situation, string>} */
  const printed = new Map();
  const ask = (/** @type {Way} */ way, /** @type {string} */ version) => client.get(place, way, version);
  if (client.ways.includes('range')) {
    await tally.check(`policy: ${client.name} finds the good version of a range`, async () => {
      const found = await ask('range', '');
      assert.equal(found.version, VERSIONS.good, found.text);
    });
  }
  const exact = /** @type {Situation[]} */ (['pin', 'locked', 'direct']).filter((way) => client.ways.includes(way));
  for (const way of exact) {
    await tally.check(`policy: ${client.name} gets a good and a watched version, ${WORDS[way]}`, async () => {
      for (const version of [VERSIONS.good, VERSIONS.watched]) {
        const found = await ask(way, version);
        assert.equal(found.version, version, found.text);
      }
    });
    for (const kind of /** @type {(keyof typeof REFUSED)[]} */ (Object.keys(REFUSED))) {
      await tally.check(`policy: ${client.name} does not get a ${kind} version, ${WORDS[way]}`, async () => {
        const found = await ask(way, VERSIONS[kind]);
        if (kind === 'malicious') printed.set(way, found.text);
        assertRefused(found);
      });
    }
  }
  if (pinsPastDocuments(client)) {
    await tally.check(`policy: ${client.name} gets a hidden version that is asked for exactly`, async () => {
      const way = client.ways.includes('locked') && !client.name.startsWith('pip') ? 'locked' : 'direct';
      const found = await ask(way, VERSIONS.hidden);
      assert.equal(found.version, VERSIONS.hidden, found.text);
    });
  }
  if (client.ways.includes('rotten')) {
    await tally.check(`policy: ${client.name} gets nothing of what has no good version`, async () => {
      const found = await ask('rotten', '1.0.0');
      printed.set('rotten', found.text);
      assertRefused(found);
    });
  }
  return { client: client.name, version: await client.version(), printed };
}

/** @type {Readonly<Record<Situation, string>>} */
const WORDS = { pin: 'exactly this one', locked: 'from a lockfile', direct: 'by its URL', rotten: '' };

/** Some look it up in the document all the same. @param {PolicyClient} client */
function pinsPastDocuments({ ways }) {
  return ways.includes('locked') || ways.includes('direct');
}

/** @param {Outcome} found */
function assertRefused({ succeeded, version, text }) {
  assert.ok(!succeeded, `a refusal was expected:\n${text}`);
  assert.equal(version, undefined, text);
}

/** The API, the page and the command say the same. @param {PolicyScene} scene */
async function explanations({ tally, server, folder }) {
  for (const [kind, rule] of Object.entries(REFUSED)) {
    const purl = `pkg:npm/${SUBJECT}@${VERSIONS[/** @type {keyof typeof REFUSED} */ (kind)]}`;
    await tally.check(`policy: the page, the API and the command name the rule of a ${kind} version`, async () => {
      const page = await get(`${server.url}/-/explain/${purl}`, { headers: { accept: 'text/html' } });
      assert.equal(page.status, 200);
      assert.match(String(page.headers['content-type']), /^text\/html/);
      assert.ok(page.body.toString().includes(`<td>${rule}</td>`), `${rule} was expected:\n${page.body}`);
      const { explanations } = await api(server, `/explain?purl=${purl}&repository=npm`);
      const fired = explanations[0].rules.filter((/** @type {{ state: string }} */ { state }) => state === 'fired');
      assert.deepEqual(
        fired.map((/** @type {{ id: string }} */ { id }) => id),
        [rule],
      );
      const text = await entrepot(folder, ['explain', purl, '--server', server.url]);
      assert.match(text, new RegExp(`^npm: ${purl}: (?:deny|hold)`));
      assert.match(text, new RegExp(`^  ${rule} \\((?:deny|hold)\\): fired`, 'm'));
    });
  }
}

/** One lets in what it is about, and no longer than it is there. @param {PolicyScene} scene */
async function exceptions({ tally, server, folder, upstreams, clients }) {
  const purls = ['npm', 'pypi'].map((type) => `pkg:${type}/${SUBJECT}@${VERSIONS.vulnerable}`);
  const form = { purl: purls, rules: ['vulnerable'], reason: 'it is not reachable', by: 'alice', expires: '1d' };
  const concerned = clients.filter(({ name }) => name === 'npm' || name === 'pip' || name === 'uv');
  const tryAll = async (/** @type {string | undefined} */ expected) => {
    for (const client of concerned) {
      const found = await client.get({ folder, url: server.url, upstreams }, 'pin', VERSIONS.vulnerable);
      assert.equal(found.version, expected, `${client.name}:\n${found.text}`);
    }
  };
  await tally.check('policy: an exception by the API lets clients have the version, until it is removed', async () => {
    const made = await api(server, '/exceptions', { method: 'POST', body: JSON.stringify(form) });
    await tryAll(VERSIONS.vulnerable);
    await api(server, `/exceptions/${made.id}`, { method: 'DELETE' });
    await tryAll(undefined);
  });
  await tally.check('policy: an exception by the command does the same', async () => {
    const where = ['--server', server.url];
    const what = ['--purl', ...purls, '--rule', 'vulnerable', '--id', 'by-command', '--expires', '30d'];
    await entrepot(folder, ['exceptions', 'add', ...where, ...what, '--reason', 'it is not reachable', '--by', 'bob']);
    assert.match(await entrepot(folder, ['exceptions', 'list', ...where]), /by-command/);
    await tryAll(VERSIONS.vulnerable);
    await entrepot(folder, ['exceptions', 'remove', 'by-command', ...where]);
    await tryAll(undefined);
  });
  await tally.check('policy: an exception ends by itself', async () => {
    const url = server.url + TARBALL(VERSIONS.vulnerable);
    await api(server, '/exceptions', { method: 'POST', body: JSON.stringify({ ...form, expires: '2s' }) });
    assert.equal((await get(url)).status, 200);
    await until('its end', async () => (await get(url)).status === 403);
  });
  await tally.check('policy: an exception from another rule, or for another version, lets nothing in', async () => {
    const others = [
      { ...form, rules: ['cooldown'] },
      { ...form, purl: [`pkg:npm/${SUBJECT}@${VERSIONS.good}`] },
      { ...form, repositories: ['pypi'] },
    ];
    for (const other of others) {
      const made = await api(server, '/exceptions', { method: 'POST', body: JSON.stringify(other) });
      assert.equal((await get(server.url + TARBALL(VERSIONS.vulnerable))).status, 403);
      await api(server, `/exceptions/${made.id}`, { method: 'DELETE' });
    }
  });
  await tally.check('policy: advisories are known to the server itself', async () => {
    const body = JSON.stringify({ package: { ecosystem: 'npm', name: SUBJECT }, version: VERSIONS.vulnerable });
    const answer = await get(`${server.url}/v1/query`, { method: 'POST', body });
    assert.equal(answer.status, 200);
    assert.match(answer.body.toString(), new RegExp(ADVISORY));
  });
}

/** Writes the file whole, so that no half of it is read. @param {PolicyScene} scene @param {object} document */
async function setPolicy({ file }, document) {
  await writeFile(file, JSON.stringify(document, undefined, 2));
}

/**
 * Asks the administration.
 * @param {EntrepotServer} server
 * @param {string} path
 * @param {{ method?: string, body?: string }} [options]
 */
async function api(server, path, options = {}) {
  const headers = { 'content-type': 'application/json' };
  const answer = await get(`${server.url}/-/api/v1${path}`, { headers, ...options });
  const text = answer.body.toString();
  assert.ok(answer.status < 300, `${options.method ?? 'GET'} ${path}: ${answer.status}: ${text}`);
  return JSON.parse(text);
}

/** Runs the command. @param {string} folder @param {readonly string[]} args */
async function entrepot(folder, args) {
  const result = await runCommand([process.execPath, MAIN, ...args], {
    cwd: folder,
    env: process.env,
    timeout: 30_000,
  });
  assert.equal(result.code, 0, outputOf(result));
  return result.stdout;
}
