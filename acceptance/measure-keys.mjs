// Measures hits of callers with keys: on a server that has one key, and on one that has 10,000, or `--keys N`, by turns. Needs a build. Prints
// the processor time of the server for each hit, with a key and with a password, and the ratios. Exits with 1 where 10,000 keys make a hit
// dearer by more than a tenth, or a key is dearer than a password by more than that.
import { hash, randomBytes, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { parseArgs } from 'node:util';
import { emptied, withScratch } from '@entrepot/fixtures/scratch';
import { EntrepotServer, freePort } from './servers/entrepot.mjs';

const { values: options } = parseArgs({
  options: { keys: { type: 'string', default: '10000' }, rounds: { type: 'string', default: '9' } },
});
const COUNT = Number(options.keys);
const ROUNDS = Number(options.rounds);
const HITS = 4_000;
const CONNECTIONS = 8;
/** The most that one may be dearer than the other. */
const MOST = 1.1;
/** Ticks of the processor time of a process in a second (`getconf CLK_TCK`). */
const TICKS = 100;

const makeSecret = () => `entrepot_${randomBytes(32).toString('base64url')}`;

/** Puts keys into the database of a server that is down. @param {string} file @param {readonly string[]} secrets */
function putKeys(file, secrets) {
  const database = new DatabaseSync(file);
  const scopes = JSON.stringify([{ may: 'read', repositories: ['box'] }]);
  const put = database.prepare(
    'insert into keys (id, hash, name, scopes, created_at, change) values (?, ?, ?, ?, ?, ?)',
  );
  database.exec('begin');
  for (const [index, secret] of secrets.entries())
    put.run(randomUUID(), hash('sha256', secret), `key-${index}`, scopes, Date.now(), index + 1);
  database.prepare("insert into revisions (repository, revision) values ('-/keys', ?)").run(secrets.length);
  database.exec('commit');
  database.close();
}

/** Starts a server with so many keys. @param {string} folder @param {number} count */
async function serverWith(folder, count) {
  const place = await emptied(folder);
  const access = { users: { ann: { password: '${env:ANN}', may: 'write' } } };
  const server = new EntrepotServer({
    folder: place,
    port: await freePort(),
    repositories: { box: { type: 'files', kind: 'hosted', access } },
    more: { log: { access: false } },
    env: { ANN: 'password-of-ann' },
  });
  await server.start();
  await server.stop();
  const secrets = Array.from({ length: count }, makeSecret);
  putKeys(join(place, 'entrepot.db'), secrets);
  const started = await server.start();
  const password = `Basic ${Buffer.from('ann:password-of-ann').toString('base64')}`;
  await fetch(`${server.url}/box/file`, {
    method: 'PUT',
    headers: { authorization: password },
    body: randomBytes(4096),
  });
  return { server, started, password, key: `Bearer ${secrets.at(-1)}` };
}

/** @param {number} pid @returns {Promise<number>} seconds */
async function processorTime(pid) {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

/** @param {Agent} agent @param {string} url @param {string} authorization @returns {Promise<void>} */
function hit(agent, url, authorization) {
  return new Promise((resolve, reject) => {
    const sent = request(`${url}/box/file`, { agent, headers: { authorization } }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`200 was expected, found ${response.statusCode}`));
      response.resume().on('end', resolve);
    });
    sent.on('error', reject).end();
  });
}

/** @param {EntrepotServer} server @param {string} authorization @returns {Promise<number>} microseconds of the processor for each hit */
async function costOf(server, authorization) {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const before = await processorTime(server.pid);
  let left = HITS;
  const worker = async () => {
    while (left-- > 0) await hit(agent, server.url, authorization);
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, worker));
  const spent = (await processorTime(server.pid)) - before;
  agent.destroy();
  return (spent / HITS) * 1e6;
}

/** @param {number[]} numbers */
const median = (numbers) => numbers.toSorted((one, other) => one - other)[Math.floor(numbers.length / 2)] ?? NaN;

await withScratch('measure-keys', async (folder) => {
  const few = await serverWith(join(folder, 'few'), 1);
  const many = await serverWith(join(folder, 'many'), COUNT);
  try {
    const sides = {
      'a key of 1': () => costOf(few.server, few.key),
      [`a key of ${COUNT}`]: () => costOf(many.server, many.key),
      [`a password beside ${COUNT} keys`]: () => costOf(many.server, many.password),
    };
    /** @type {Map<string, number[]>} */
    const costs = new Map(Object.keys(sides).map((name) => [name, []]));
    for (let round = 0; round <= ROUNDS; round += 1)
      for (const [name, measure] of Object.entries(sides)) {
        const cost = await measure();
        // The first round warms up.
        if (round > 0) costs.get(name)?.push(cost);
      }
    const medians = [...costs].map(([name, each]) => ({ name, cost: median(each), each }));
    for (const { name, cost, each } of medians) {
      const [least, most] = [Math.min(...each), Math.max(...each)].map(Math.round);
      process.stdout.write(`${name}: ${Math.round(cost)} µs a hit (${least} to ${most} in ${ROUNDS} rounds)\n`);
    }
    const [one = NaN, all = NaN, password = NaN] = medians.map(({ cost }) => cost);
    const ratios = { [`${COUNT} keys to 1`]: all / one, 'a key to a password': all / password };
    for (const [name, ratio] of Object.entries(ratios)) process.stdout.write(`${name}: ${ratio.toFixed(3)}\n`);
    process.stdout.write(
      `start with 1 key ${Math.round(few.started)} ms, with ${COUNT} ${Math.round(many.started)} ms\n`,
    );
    if (Object.values(ratios).some((ratio) => !(ratio <= MOST))) process.exitCode = 1;
  } finally {
    await few.server.kill();
    await many.server.kill();
  }
});
