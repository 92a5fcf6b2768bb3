import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { discoverUpstreams } from '../src/deb/discover.js';

/** The upstreams that are found in these settings of apt. */
async function find(files: Readonly<Record<string, string>>, isOwn?: (url: string) => boolean) {
  const folder = await mkdtemp(join(tmpdir(), 'entrepot-apt-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await mkdir(join(folder, 'sources.list.d'));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  const found = await discoverUpstreams({ useClientCredentials: true, isOwn }, folder);
  return found.map(({ source, ...rest }) => ({ ...rest, file: source.slice(source.lastIndexOf('/') + 1, -1) }));
}

const stanza = (...lines: string[]): string => `# comment\n${lines.join('\n')}\n\n`;

it('finds the archive of the machine', async () => {
  const text = stanza('Types: deb deb-src', 'URIs: http://mirror.example.com/debian/', 'Suites: stable');
  const [found, ...others] = await find({ 'sources.list.d/debian.sources': text });
  expect([found, others]).toEqual([{ url: 'http://mirror.example.com/debian', file: 'debian.sources' }, []]);
});

it('finds the server of several archives', async () => {
  const list = 'deb [signed-by=/a.gpg] http://mirror.example.com/debian stable main\n# deb http://no.example.com/ x\n';
  const more = stanza('Types: deb', 'URIs: http://mirror.example.com/security', 'Suites: stable');
  expect(await find({ 'sources.list': list, 'sources.list.d/more.sources': more })).toEqual([
    { url: 'http://mirror.example.com', file: 'sources.list' },
  ]);
});

it('finds several servers, each under its host', async () => {
  const list = 'deb https://user:pass@one.example.com/debian stable main\ndeb http://two.example.com:8080/x ./\n';
  expect(await find({ 'sources.list': list })).toEqual([
    {
      url: 'https://one.example.com',
      scope: 'one.example.com',
      authorization: 'Basic dXNlcjpwYXNz',
      file: 'sources.list',
    },
    { url: 'http://two.example.com:8080', scope: 'two.example.com:8080', file: 'sources.list' },
  ]);
});

it('finds nothing that is off, of sources alone, on a disc, or this server itself', async () => {
  const text = [
    stanza('Types: deb', 'URIs: http://off.example.com/', 'Enabled: no'),
    stanza('Types: deb-src', 'URIs: http://source.example.com/'),
    stanza('Types: deb', 'URIs: cdrom://disc file:/media'),
    stanza('Types: deb', 'URIs: http://127.0.0.1:8080/debian'),
  ].join('');
  expect(await find({ 'sources.list.d/a.sources': text }, (url) => url.includes('127.0.0.1'))).toEqual([]);
  expect(await find({ 'sources.list.d/a.save': 'deb http://old.example.com/ x main\n' })).toEqual([]);
});
