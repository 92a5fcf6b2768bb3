import { Readable } from 'node:stream';
import { expect, it } from 'vitest';
import { type AddressZone, EntrepotError, type Transport } from '../../src/index.js';
import type { EngineServices, RepositoryDefinition } from '../../src/engine/index.js';
import type { UpstreamQuery } from '../../src/engine/upstream/query.js';
import { Upstreams } from '../../src/engine/upstream/upstreams.js';
import { ManualClock } from '../../src/testing/index.js';

/** The hosts of a small internet: they send a body, or redirect. */
type Hosts = Readonly<Record<string, { readonly zone: AddressZone; readonly location?: string }>>;

const HOSTS: Hosts = {
  'public.example.com': { zone: 'public' },
  'mirror.example.com': { zone: 'private' },
  'files.example.com': { zone: 'private' },
  'more.example.com': { zone: 'private', location: 'http://files.example.com/x' },
  'out.example.com': { zone: 'public', location: 'http://files.example.com/x' },
  'test.example.com': { zone: 'test' },
  localhost: { zone: 'loopback' },
  'metadata.example.com': { zone: 'other' },
  'metadata-too.example.com': { zone: 'other' },
};

/** A transport that keeps the contract over hosts whose addresses no test machine has. */
function transportOver(hosts: Hosts, asked: string[]): Transport {
  return {
    async send({ method, url, allowPrivate, alsoZone }) {
      const { zone, location } = hosts[url.hostname] ?? { zone: 'public' };
      if (!allowPrivate && zone !== 'public' && (zone !== alsoZone || zone === 'other')) {
        throw new EntrepotError('forbidden', `${url.hostname} is refused`);
      }
      asked.push(`${method} ${url.hostname}`);
      const headers: Record<string, string> = location === undefined ? {} : { location };
      return { status: location === undefined ? 200 : 302, headers, body: Readable.from([]), zone };
    },
    async dispose() {},
  };
}

function upstreamsAt(url: string, hosts: Hosts, allowPrivateHosts: readonly string[] = []) {
  const asked: string[] = [];
  const definition = { name: 'test', upstreams: [{ url }], allowPrivateHosts, userAgent: 'test' };
  const services = { clock: new ManualClock(), transport: transportOver(hosts, asked) };
  const upstreams = new Upstreams(definition as unknown as RepositoryDefinition, services as unknown as EngineServices);
  const fetch = async (more: Partial<UpstreamQuery> = {}): Promise<string> => {
    const { signal } = new AbortController();
    const reply = await upstreams.fetch({
      method: 'GET',
      path: '',
      headers: {},
      signal,
      skipUnhealthy: false,
      ...more,
    });
    return reply.finalUrl.hostname;
  };
  return { asked, fetch };
}

const leadsOn = (from: string, to: string): Hosts => ({
  ...HOSTS,
  [from]: { zone: HOSTS[from]?.zone ?? 'public', location: `http://${to}/` },
});

it.each([
  ['mirror.example.com', 'files.example.com'],
  ['mirror.example.com', 'public.example.com'],
  ['mirror.example.com', 'more.example.com'],
  ['test.example.com', 'test.example.com'],
  ['localhost', 'localhost'],
  ['public.example.com', 'other-public.example.com'],
])('%s may lead to %s', async (from, to) => {
  const redirected = upstreamsAt(`http://${from}`, leadsOn(from, to === from ? `${to}:81` : to));
  if (to !== from) await expect(redirected.fetch()).resolves.toBe(to === 'more.example.com' ? 'files.example.com' : to);
  const named = upstreamsAt(`http://${from}`, HOSTS);
  await named.fetch();
  const location = { path: undefined, location: `http://${to}:81/`, namedBy: `http://${from}/` };
  await expect(named.fetch(location)).resolves.toBe(to === 'more.example.com' ? 'files.example.com' : to);
});

it.each([
  ['public.example.com', 'files.example.com'],
  ['public.example.com', 'localhost'],
  ['public.example.com', 'metadata.example.com'],
  ['mirror.example.com', 'localhost'],
  ['mirror.example.com', 'metadata.example.com'],
  ['mirror.example.com', 'test.example.com'],
  // What a public host on the way leads to is not the mirror's doing.
  ['mirror.example.com', 'out.example.com'],
  ['localhost', 'files.example.com'],
  ['localhost', 'metadata.example.com'],
  ['metadata-too.example.com', 'metadata.example.com'],
])('%s may not lead to %s', async (from, to) => {
  const redirected = upstreamsAt(`http://${from}`, leadsOn(from, to));
  await expect(redirected.fetch()).rejects.toMatchObject({ kind: 'forbidden' });
  const named = upstreamsAt(`http://${from}`, HOSTS);
  const location = { path: undefined, location: `http://${to}/`, namedBy: `http://${from}/` };
  await expect(named.fetch(location)).rejects.toMatchObject({ kind: 'forbidden' });
  await named.fetch();
  await expect(named.fetch(location)).rejects.toMatchObject({ kind: 'forbidden' });
  const allowed = upstreamsAt(`http://${from}`, HOSTS, [to, 'files.example.com']);
  await expect(allowed.fetch(location)).resolves.toBe(to === 'out.example.com' ? 'files.example.com' : to);
});

it('asks where the host of a kept document is only when that decides, and once', async () => {
  const { asked, fetch } = upstreamsAt('http://mirror.example.com', HOSTS);
  const namedBy = 'http://mirror.example.com/simple/x/';
  await fetch({ location: 'http://public.example.com/', namedBy });
  expect(asked).toEqual(['GET public.example.com']);
  await fetch({ location: 'http://files.example.com/', namedBy });
  await fetch({ location: 'http://files.example.com/', namedBy });
  expect(asked.slice(1)).toEqual(['HEAD mirror.example.com', 'GET files.example.com', 'GET files.example.com']);
});

it.each([
  // Where a redirect led to, and whether a document of that host may name a file in a private network.
  ['more.example.com', true],
  ['public.example.com', false],
])('knows where %s is once an upstream has led there', async (to, mayName) => {
  const { fetch } = upstreamsAt('http://mirror.example.com', {
    ...HOSTS,
    'mirror.example.com': { zone: 'private', location: `http://${to}/` },
    'more.example.com': { zone: 'private' },
  });
  await expect(fetch()).resolves.toBe(to);
  const named = fetch({ path: undefined, location: 'http://files.example.com/', namedBy: `http://${to}/` });
  if (mayName) await expect(named).resolves.toBe('files.example.com');
  else await expect(named).rejects.toMatchObject({ kind: 'forbidden' });
});

it('does not let a document of a foreign host lead to a network', async () => {
  const { asked, fetch } = upstreamsAt('http://mirror.example.com', HOSTS);
  const location = { path: undefined, location: 'http://files.example.com/', namedBy: 'http://more.example.com/' };
  await expect(fetch(location)).rejects.toMatchObject({ kind: 'forbidden' });
  expect(asked).toEqual([]);
});

it('goes by where the upstream is now', async () => {
  const hosts: Record<string, { zone: AddressZone }> = { ...HOSTS, 'roaming.example.com': { zone: 'private' } };
  const { fetch } = upstreamsAt('http://roaming.example.com', hosts);
  const location = { path: undefined, location: 'http://files.example.com/', namedBy: 'http://roaming.example.com/' };
  await fetch();
  await expect(fetch(location)).resolves.toBe('files.example.com');
  hosts['roaming.example.com'] = { zone: 'public' };
  await fetch();
  await expect(fetch(location)).rejects.toMatchObject({ kind: 'forbidden' });
});
