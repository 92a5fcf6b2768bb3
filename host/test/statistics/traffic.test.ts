import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { silentLogger } from '@entrepot/core';
import { FakeUpstream, pseudoRandom } from '@entrepot/core/testing';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { StatisticsAnswer, UnusedAnswer } from '../../src/admin/statistics-operations.js';
import { loadConfig } from '../../src/config/load.js';
import { createHost } from '../../src/create-host.js';
import { basic } from '../access/server.js';

const TOKEN = 'a-token-of-some-length';
const DAY = Date.UTC(2026, 4, 20);
const HOUR = 3_600_000;
const PACKAGES = ['alpha', 'beta', 'gamma', '@scope/delta'];
const VERSIONS = ['1.0.0', '2.0.0'];
const USERS = ['ann', 'bob', undefined] as const;

/** Numbers of one row, as the client counts them. */
type Tally = Record<string, number>;

function putPackage(fake: FakeUpstream, name: string): void {
  const bare = name.split('/').at(-1);
  const entries = VERSIONS.map((version) => {
    const path = `/${name}/-/${bare}-${version}.tgz`;
    const body = `the tarball of ${name} ${version} `.repeat(20 + name.length);
    fake.serve(path, { body });
    fake.serve(`/${name}/${version}`, { status: 404 });
    const integrity = `sha512-${createHash('sha512').update(body).digest('base64')}`;
    return [version, { name, version, dist: { tarball: fake.url + path, integrity } }];
  });
  const document = { name, 'dist-tags': { latest: '2.0.0' }, versions: Object.fromEntries(entries) };
  const fixture = { body: JSON.stringify(document), mediaType: 'application/json', etag: `"${bare}"` };
  for (const path of [`/${name.replace('/', '%2f')}`, `/${name}`]) fake.serve(path, fixture);
}

async function open(folder: string) {
  const env = { ENTREPOT_SERVER_LISTEN: '127.0.0.1:0', ADMIN: TOKEN, ANN: 'password-of-ann', BOB: 'password-of-bob' };
  const host = await createHost(await loadConfig({ env, cwd: folder }), { logger: silentLogger });
  let open = true;
  const close = async (): Promise<void> => {
    if (open) await host.close();
    open = false;
  };
  onTestFinished(close);
  const [{ url }] = (await host.listen()) as [{ url: string }];
  return { url, close };
}

/** Sends over one connection: a request is counted before the next one on it is read. */
const agent = new Agent({ keepAlive: true, maxSockets: 1 });

async function ask(url: string, headers: Record<string, string>, method = 'GET') {
  return await new Promise<{ status: number; cache: string; etag: string; body: Buffer }>((resolve, reject) => {
    request(url, { method, agent, headers }, (answer) => {
      buffer(answer).then((body) => {
        const text = (name: string): string => String(answer.headers[name] ?? '');
        resolve({ status: answer.statusCode ?? 0, cache: text('x-cache'), etag: text('etag'), body });
      }, reject);
    })
      .on('error', reject)
      .end();
  });
}

async function api<Answer>(url: string, path: string): Promise<Answer> {
  const { status, body } = await ask(`${url}/-/api/v1${path}`, { authorization: `Bearer ${TOKEN}` });
  expect([status, status === 200 ? '' : body.toString()]).toEqual([200, '']);
  return JSON.parse(body.toString()) as Answer;
}

const OUTCOMES: Readonly<Record<string, string>> = {
  HIT: 'hits',
  REVALIDATED: 'revalidated',
  STALE: 'stale',
  MISS: 'misses',
  DENIED: 'denied',
  ERROR: 'failed',
};

function add(tallies: Map<string, Tally>, key: string, numbers: Tally): void {
  const tally = tallies.get(key) ?? {};
  for (const [name, number] of Object.entries(numbers)) tally[name] = (tally[name] ?? 0) + number;
  tallies.set(key, tally);
}

/** The counted numbers of a row, those that are not 0. */
function counted(row: object): Tally {
  const others = ['requests', 'downloads', 'bytes', 'notModified', 'ranges', 'savedBytes'];
  const names = new Set([...Object.values(OUTCOMES), ...others]);
  const all = Object.entries(row).filter(([name, value]) => names.has(name) && value !== 0);
  return Object.fromEntries(all) as Tally;
}

/** A tally as `counted` gives it: requests that pass by have no number of their own. */
const nonZero = (tally: Tally): Tally =>
  Object.fromEntries(Object.entries(tally).filter(([name, value]) => value !== 0 && name !== 'bypassed'));

beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'], now: DAY }));
afterEach(() => void vi.useRealTimers());

describe('statistics of a day of traffic', () => {
  it('equal what clients have sent and got', async () => {
    const fake = await FakeUpstream.start();
    onTestFinished(() => fake.close());
    for (const name of PACKAGES) putPackage(fake, name);
    const folder = mkdtempSync(join(tmpdir(), 'entrepot-statistics-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const users = `users: { ann: { password: "\${env:ANN}" }, bob: { password: "\${env:BOB}" } }`;
    writeFileSync(
      join(folder, 'entrepot.yaml'),
      `admin: { token: "\${env:ADMIN}" }
metadata: { path: "${join(folder, 'entrepot.db')}" }
storage: { path: "${join(folder, 'blobs')}", durability: relaxed }
policy: { rules: [{ id: no-gamma, match: { purl: ["pkg:npm/gamma@2.0.0"] }, action: deny }] }
repositories:
  npm: { type: npm, upstream: "${fake.url}", access: { anonymous: none, ${users} } }
  mirror: { type: npm, upstream: "${fake.url}", access: { anonymous: read, ${users} } }
`,
    );
    let server = await open(folder);
    const random = pseudoRandom(7);
    const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
    const by = {
      repository: new Map<string, Tally>(),
      principal: new Map<string, Tally>(),
      package: new Map<string, Tally>(),
    };
    const total = new Map<string, Tally>();
    const etags = new Map<string, string>();
    const REQUESTS = 600;
    for (let number = 0; number < REQUESTS; number += 1) {
      vi.setSystemTime(DAY + (number * 24 * HOUR) / REQUESTS);
      if (number === REQUESTS / 2) {
        await server.close();
        server = await open(folder);
      }
      const repository = pick(['npm', 'npm', 'mirror']);
      const name = pick(PACKAGES);
      const version = pick(VERSIONS);
      const isTarball = random() < 0.6;
      const kind = pick(['plain', 'plain', 'range', 'conditional', 'head', 'unknown']);
      const user = pick(USERS);
      const bare = name.split('/').at(-1);
      const path =
        kind === 'unknown'
          ? `/${repository}/nobody-has-this`
          : `/${repository}/${name}${isTarball ? `/-/${bare}-${version}.tgz` : ''}`;
      const { status, cache, etag, body } = await ask(
        server.url + path,
        {
          ...(user !== undefined && { authorization: basic(user, `password-of-${user}`) }),
          ...(kind === 'range' && { range: 'bytes=3-40' }),
          ...(kind === 'conditional' && etags.has(path) && { 'if-none-match': etags.get(path) as string }),
        },
        kind === 'head' ? 'HEAD' : 'GET',
      );
      if (etag !== '') etags.set(path, etag);
      const outcome = OUTCOMES[cache] ?? 'bypassed';
      const isKept = ['hits', 'revalidated', 'stale'].includes(outcome);
      const numbers: Tally = {
        requests: 1,
        [outcome]: 1,
        bytes: body.length,
        downloads: isTarball && status === 200 && kind !== 'head' && kind !== 'unknown' ? 1 : 0,
        notModified: status === 304 ? 1 : 0,
        ranges: status === 206 ? 1 : 0,
        savedBytes: isKept ? body.length : 0,
      };
      add(total, '', numbers);
      add(by.repository, repository, numbers);
      // Who anybody may be is not asked for a name.
      add(by.principal, repository === 'npm' && user !== undefined ? user : 'anonymous', numbers);
      if (outcome !== 'failed') add(by.package, `${repository} pkg:npm/${name.replace('@', '%40')}`, numbers);
    }
    vi.setSystemTime(DAY + 24 * HOUR - 1);

    const answer = await api<StatisticsAnswer>(server.url, '/statistics?days=1');
    const sent = total.get('') as Tally;
    for (const seen of ['hits', 'revalidated', 'misses', 'denied', 'failed', 'notModified', 'ranges', 'downloads'])
      expect([seen, sent[seen]]).toEqual([seen, expect.any(Number)]);
    expect(answer).toMatchObject({ from: '2026-05-20', to: '2026-05-20', by: 'day' });
    expect(counted(answer.total)).toEqual(nonZero(sent));
    expect(answer.rows).toEqual([{ day: '2026-05-20', ...answer.total }]);
    expect(answer.total.savedMilliseconds).toBeGreaterThan(0);
    expect(answer.total.upstreamRequests).toBe(fake.requests.length);
    const kept = Number(sent['hits']) + Number(sent['revalidated']);
    const ratio = kept / (kept + Number(sent['misses']));
    expect(answer.total.hitRatio).toBeCloseTo(ratio, 3);

    for (const [view, keyOf] of [
      ['repository', (row) => row.repository],
      ['principal', (row) => row.principal ?? row.others],
      ['package', (row) => `${row.repository} ${row.package}`],
    ] as [keyof typeof by, (row: StatisticsAnswer['rows'][number]) => string][]) {
      const { rows } = await api<StatisticsAnswer>(server.url, `/statistics?days=1&by=${view}&sort=requests`);
      const found = rows.map((row): [string, Tally] => [keyOf(row), counted(row)]);
      const expected = Array.from(by[view], ([key, tally]): [string, Tally] => [key, nonZero(tally)]);
      expect(new Map(found)).toEqual(new Map(expected));
      const requests = rows.map((row) => row.requests);
      expect(requests).toEqual(requests.toSorted((one, other) => other - one));
    }
    const own = await api<StatisticsAnswer>(server.url, '/statistics?days=1&repository=mirror');
    expect(counted(own.total)).toEqual(nonZero(by.repository.get('mirror') as Tally));
    expect((await api<StatisticsAnswer>(server.url, '/statistics?from=2026-05-21&to=2026-05-22')).total.requests).toBe(
      0,
    );

    vi.setSystemTime(DAY + 100 * 24 * HOUR);
    const { packages } = await api<UnusedAnswer>(server.url, '/statistics/unused?repository=npm');
    expect(packages.map(({ purl }) => purl).toSorted()).toEqual(
      PACKAGES.map((name) => `pkg:npm/${name.replace('@', '%40')}`).toSorted(),
    );
    expect((await api<UnusedAnswer>(server.url, '/statistics/unused?days=101')).packages).toEqual([]);
  });

  it.each([
    ['/statistics?by=user', 'by: '],
    ['/statistics?days=0', 'days: expected a whole number from 1 to 3660'],
    ['/statistics?days=1&days=2', 'days: expected once'],
    ['/statistics?from=2026-02-30', 'from: expected a day such as 2026-11-30'],
    ['/statistics?from=2026-05-02&to=2026-05-01', 'from: expected a day that is not after'],
    ['/statistics?day=1', 'day: unknown parameter'],
    ['/statistics/unused?repository=bxo', 'did you mean box?'],
  ])('refuses %s', async (path, message) => {
    const folder = mkdtempSync(join(tmpdir(), 'entrepot-statistics-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    writeFileSync(
      join(folder, 'entrepot.yaml'),
      `admin: { token: "\${env:ADMIN}" }
metadata: { path: "${join(folder, 'entrepot.db')}" }
storage: { path: "${join(folder, 'blobs')}" }
repositories: { box: { type: files, kind: hosted } }
`,
    );
    const { url } = await open(folder);
    const answer = await ask(`${url}/-/api/v1${path}`, { authorization: `Bearer ${TOKEN}` });
    expect([answer.status, answer.body.toString()]).toEqual([400, expect.stringContaining(message)]);
    const open401 = await ask(`${url}/-/api/v1${path}`, {});
    expect(open401.status).toBe(401);
  });
});
