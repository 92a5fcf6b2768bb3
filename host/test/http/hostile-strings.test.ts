import { FakeUpstream } from '@entrepot/core/testing';
import { expect, it, onTestFinished } from 'vitest';
import { record, zip } from '../../../plugins/scanner-osv/test/fixtures.js';
import { ROUTES } from './hostile/requests.js';
import { startWatched, type Asked, type WatchedServer } from './hostile/server.js';
import { hostileStrings } from './hostile/strings.js';
import { serveDocuments } from './hostile/upstream.js';

/** The longest time for which one request may hold the event loop, in milliseconds. */
const LONGEST = 50;
/** So many strings for each route. */
const STRINGS = 1000;
/** So many of them as documents of an upstream, for each format. */
const DOCUMENTS = 50;

const RANGE = [{ introduced: '0' }, { fixed: '2.0.0' }];
const DUMPS = {
  npm: [record('MAL-1', 'npm', 'tool', RANGE)],
  PyPI: [record('PYSEC-1', 'PyPI', 'tool', RANGE)],
  Packagist: [record('PKSA-1', 'Packagist', 'a/tool', RANGE)],
  Maven: [record('GHSA-1', 'Maven', 'a:tool', RANGE)],
};

async function start(): Promise<{ readonly server: WatchedServer; readonly upstream: FakeUpstream }> {
  const upstream = await FakeUpstream.start();
  onTestFinished(() => upstream.close());
  const dumps = Object.entries(DUMPS).map(([ecosystem, records]) => {
    const files = Object.fromEntries(records.map((one) => [`${one.id}.json`, JSON.stringify(one)]));
    return [`dumps/${ecosystem}/all.zip`, zip(files)] as const;
  });
  const { url } = upstream;
  const open = { anonymous: 'write' };
  const server = await startWatched(
    {
      server: { listen: '127.0.0.1:0', trustProxy: ['127.0.0.0/8'] },
      admin: { token: '${env:HOSTILE_PASSWORD}' },
      scanners: [{ type: 'osv', from: './dumps', ecosystems: Object.keys(DUMPS) }],
      policy: { preset: 'balanced', rules: [{ id: 'old', match: { versions: ['<1.3.0'] }, action: 'warn' }] },
      repositories: {
        npm: { type: 'npm', upstream: url },
        pypi: { type: 'pypi', upstream: `${url}/simple` },
        go: { type: 'go', upstream: url, sumdb: 'off' },
        images: { type: 'oci', upstream: url },
        store: { type: 'oci', kind: 'hosted', access: open },
        charts: { type: 'helm', upstream: url },
        'own-charts': { type: 'helm', kind: 'hosted', access: open },
        files: { type: 'files', upstream: url },
        kept: { type: 'files', kind: 'hosted', access: open },
        closed: {
          type: 'files',
          kind: 'hosted',
          access: {
            anonymous: 'none',
            users: { a: { password: '${env:HOSTILE_PASSWORD}', may: 'read', names: ['*-*-*-*'] } },
          },
        },
      },
    },
    Object.fromEntries(dumps),
  );
  expect(await server.ask({ method: 'PUT', path: '/kept/a.txt', headers: {}, body: 'kept' })).toBe(201);
  return { server, upstream };
}

/**
 * The requests that hold the event loop longer than they may. Sent together first; when somebody held it, the halves are sent
 * again, down to the one that does it every time. So what was the fault of the moment (code that is compiled, memory that is
 * collected) is nobody's.
 */
async function culprits(server: WatchedServer, requests: readonly Asked[]): Promise<readonly Asked[]> {
  await Promise.all(requests.map((asked) => server.ask(asked)));
  if ((await server.held()) <= LONGEST) return [];
  if (requests.length === 1) {
    await server.ask(requests[0] as Asked);
    return (await server.held()) <= LONGEST ? [] : requests;
  }
  const middle = Math.ceil(requests.length / 2);
  return [...(await culprits(server, requests.slice(0, middle))), ...(await culprits(server, requests.slice(middle)))];
}

function printed({ method, path, headers, body }: Asked): string {
  const [header] = Object.values(headers);
  return `${method} ${path.slice(0, 120)} ${header?.slice(0, 40) ?? ''} ${body?.slice(0, 120) ?? ''}`;
}

it('holds the event loop for no string, on no route', { timeout: 600_000 }, async () => {
  const { server } = await start();
  const strings = hostileStrings(STRINGS);
  for (const [name, route] of ROUTES) {
    const found = await culprits(server, strings.map(route));
    expect(found.map(printed), name).toEqual([]);
  }
});

it('holds the event loop for no document of an upstream', { timeout: 600_000 }, async () => {
  const { server, upstream } = await start();
  const requests = hostileStrings(DOCUMENTS).flatMap((text, index) =>
    serveDocuments(upstream, `pkg${index}`, text).map((path): Asked => ({ method: 'GET', path, headers: {} })),
  );
  expect((await culprits(server, requests)).map(printed)).toEqual([]);
});
