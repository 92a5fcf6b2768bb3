import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { get } from '@entrepot/fixtures/get';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';
import { emptied, withScratch } from '@entrepot/fixtures/scratch';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { Replicas } from '../servers/replicas.mjs';
import { note } from '../tally.mjs';
import { HOSTED, KEY_CLIENTS } from './keys/clients.mjs';
import { KeyUpstreams } from './keys/upstreams.mjs';

/** @import { Tally } from '../tally.mjs' */

/** The longest that another replica may take to refuse a revoked key; milliseconds. */
const LONGEST = 5_000;

/**
 * Asks the API of administration, as a user of the machine of the server.
 * @param {string} url @param {string} method @param {string} path @param {unknown} [body]
 */
async function api(url, method, path, body) {
  const text = body === undefined ? '' : JSON.stringify(body);
  const headers = { 'content-type': 'application/json' };
  const answer = await get(`${url}/-/api/v1${path}`, { method, headers, body: text });
  assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.body}`);
  return JSON.parse(answer.body.toString());
}

/** @param {string} url @param {string} name @param {'read' | 'write'} may @param {string} repository */
async function makeKey(url, name, may, repository) {
  const { key, secret } = await api(url, 'POST', '/keys', { name, scopes: [{ may, repositories: [repository] }] });
  return { id: /** @type {string} */ (key.id), secret: /** @type {string} */ (secret) };
}

/**
 * Keys as every client sends them: each installs with one from a repository that lets nobody else in, and is refused when it is revoked; and
 * replicas over one PostgreSQL, which refuse a revoked key soon after.
 * @param {Tally} tally
 */
export async function keys(tally) {
  await withScratch('keys', (folder) => eachClient(tally, folder));
  await withScratch('keys-replicas', (folder) => onReplicas(tally, folder));
}

/** @param {Tally} tally @param {string} folder */
async function eachClient(tally, folder) {
  const upstreams = await new KeyUpstreams().start();
  const place = await emptied(join(folder, 'server'));
  const tls = await certificateIn(place);
  const goPort = await freePort();
  const repositories = { ...upstreams.repositories, ...HOSTED };
  // `go` sends no password where it is not encrypted.
  if (tls !== undefined) Object.assign(repositories.go, { listen: `127.0.0.1:${goPort}`, mount: '/go', tls });
  const server = new EntrepotServer({ folder: place, port: await freePort(), repositories });
  try {
    if (!(await tally.check('keys: the server starts', () => server.start()))) return;
    const { url } = server;
    const encrypted = tls && { url: `https://127.0.0.1:${goPort}`, certificate: tls.cert };
    const common = { url, host: `127.0.0.1:${server.port}`, sumdb: upstreams.sumdb, encrypted };
    for (const { name, repository, isThere, isEncrypted = false, publish, install } of KEY_CLIENTS) {
      if (!(await isThere()) || (isEncrypted && tls === undefined)) {
        note(`no ${name} on this machine: keys are not tried with it`);
        continue;
      }
      /** @param {string} what @param {string} secret */
      const tried = async (what, secret) =>
        await install({ ...common, folder: await emptied(join(folder, `${name}-${what}`)), secret });
      await tally.check(
        `keys: ${name} installs with a key, and is refused without its right and after its end`,
        async () => {
          const writer = await makeKey(url, `${name}-writer`, 'write', repository);
          await publish?.({ ...common, folder, secret: writer.secret });
          const other = await makeKey(url, `${name}-other`, 'read', 'other');
          const refused = await tried('other', other.secret);
          assert.notEqual(
            refused.code,
            0,
            `${name} got something with a key of another repository: ${outputOf(refused)}`,
          );
          const { id, secret } = await makeKey(url, name, 'read', repository);
          const installed = await tried('key', secret);
          assert.equal(installed.code, 0, outputOf(installed));
          await api(url, 'DELETE', `/keys/${id}`);
          const before = server.requests.length;
          const revoked = await tried('revoked', secret);
          assert.notEqual(revoked.code, 0, `${name} got something with a revoked key: ${outputOf(revoked)}`);
          // Each client says it in its own words, and some do not.
          await refusedBy(server, before, outputOf(revoked));
        },
      );
    }
    await tally.check('keys: the audit log has all of it, and no secret', async () => {
      const { records } = await api(url, 'GET', '/audit?limit=1000');
      /** @param {string} event */
      const count = (event) => records.filter((/** @type {{ event: string }} */ one) => one.event === event).length;
      assert.ok(count('createKey') > 3 && count('revokeKey') > 1, JSON.stringify(records).slice(0, 2000));
      assert.ok(count('access-unauthorized') > 0 && count('access-forbidden') > 0);
      assert.doesNotMatch(JSON.stringify(records), /entrepot_[\w-]{43}/);
    });
    await tally.check('keys: no secret is in the log', () => assert.doesNotMatch(server.log, /entrepot_[\w-]{43}/));
    await tally.check('keys: keys are there after a restart', async () => {
      const { id, secret } = await makeKey(url, 'restart', 'read', 'files');
      await server.stop();
      await server.start();
      const headers = { authorization: `Bearer ${secret}` };
      assert.equal((await get(`${url}/files/missing`, { headers })).status, 404);
      await api(url, 'DELETE', `/keys/${id}`);
      assert.equal((await get(`${url}/files/missing`, { headers })).status, 401);
    });
  } finally {
    await server.kill();
    await upstreams.stop();
  }
}

/** Waits for the line of the log that says that a key was refused. @param {EntrepotServer} server @param {number} from @param {string} output */
async function refusedBy(server, from, output) {
  const started = performance.now();
  /** @param {{ path: string, status: number, detail?: string }} request */
  const isRefusal = ({ path, status, detail = '' }) =>
    status === 401 && (path === '/-/token' || detail.includes('The key is refused'));
  while (!server.requests.slice(from).some(isRefusal)) {
    assert.ok(performance.now() - started < LONGEST, `the server has not refused the key: ${output}`);
    await delay(20);
  }
}

/** Makes a certificate of loopback. @param {string} folder @returns {Promise<{ cert: string, key: string } | undefined>} */
async function certificateIn(folder) {
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const words = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=127.0.0.1'];
  const command = ['openssl', ...words, '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert];
  const made = await runCommand(command, { cwd: folder, env: process.env, timeout: 60_000 }).catch(() => undefined);
  return made?.code === 0 ? { cert, key } : undefined;
}

/** @param {Tally} tally @param {string} folder */
async function onReplicas(tally, folder) {
  const lacking = await Replicas.lacking();
  if (lacking !== undefined) return void note(`no ${lacking} on this machine: keys are not tried on replicas`);
  const replicas = new Replicas(folder);
  try {
    const start = () => replicas.start({ box: { type: 'files', kind: 'hosted', access: {} } });
    if (!(await tally.check('keys: three replicas start', start))) return;
    const urls = replicas.servers.map((server) => server.url);
    const [first = ''] = urls;
    /** @param {string} url @param {string} secret */
    const statusAt = async (url, secret) =>
      (await get(`${url}/box/missing`, { headers: { authorization: `Bearer ${secret}` } })).status;
    /** @param {string} secret @param {number} status @returns {Promise<number>} how long it took everywhere */
    const everywhere = async (secret, status) => {
      const started = performance.now();
      for (const url of urls) {
        while ((await statusAt(url, secret)) !== status) {
          assert.ok(performance.now() - started < LONGEST, `${url} does not answer ${status} after ${LONGEST} ms`);
          await delay(10);
        }
      }
      return Math.round(performance.now() - started);
    };
    await tally.check('keys: three replicas know a key, and refuse it within 5 s of its end, five times', async () => {
      const [known, gone] = [[0], [0]];
      for (let round = 0; round < 5; round += 1) {
        const { id, secret } = await makeKey(first, `round-${round}`, 'read', 'box');
        known.push(await everywhere(secret, 404));
        await api(first, 'DELETE', `/keys/${id}`);
        assert.equal(await statusAt(first, secret), 401);
        gone.push(await everywhere(secret, 401));
      }
      note(
        `keys on three replicas: known after ${Math.max(...known)} ms, refused after ${Math.max(...gone)} ms at the most`,
      );
    });
  } finally {
    await replicas.kill();
  }
}
