import { describe, expect, it, onTestFinished } from 'vitest';
import { FakeUpstream, openTestRepository } from '@entrepot/core/testing';
import { isListed, readMirrorList } from '../src/rpm/mirror-list.js';
import { RpmMirrors } from '../src/rpm/mirrors.js';
import { rpmOptions } from '../src/rpm/options.js';
import { RPM, sum, type Files } from './archives.js';
import { contentOf } from './rpm-fixtures.js';

const ROOT = '9/os';
const LIST = 'list?repo=os';

/** A metalink as MirrorManager writes it. */
function metalink(urls: readonly string[], ...indexes: readonly Uint8Array[]): string {
  const facts = (bytes: Uint8Array): string =>
    `<mm0:timestamp>1</mm0:timestamp><size>${bytes.length}</size><verification><hash type="md5">${sum('md5', bytes)}</hash><hash type="sha512">${sum('sha512', bytes)}</hash></verification>`;
  const [first = Buffer.alloc(0), ...others] = indexes;
  const alternates = others.map((bytes) => `<mm0:alternate>${facts(bytes)}</mm0:alternate>`).join('');
  const resources = urls.map(
    (url, index) => `<url protocol="http" type="http" location="X" preference="${100 - index}">${url}</url>`,
  );
  return `<?xml version="1.0" encoding="utf-8"?>
<metalink version="3.0" xmlns="http://www.metalinker.org/" type="dynamic" xmlns:mm0="http://fedorahosted.org/mirrormanager">
<files><file name="repomd.xml">${facts(first)}<mm0:alternates>${alternates}</mm0:alternates>
<resources maxconnections="1">${resources.join('')}</resources></file></files></metalink>
`;
}

/** A repository whose upstream has a list of mirrors alone. */
async function open(count: number, options: object = {}) {
  const mirrors: FakeUpstream[] = [];
  for (let index = 0; index < count; index += 1) mirrors.push(await FakeUpstream.start());
  for (const mirror of mirrors) onTestFinished(() => mirror.close());
  const repository = await openTestRepository({
    plugin: RPM.plugin,
    options: { mirrorLists: { [ROOT]: LIST }, ...options },
  });
  onTestFinished(() => repository.close());
  return {
    ...repository,
    mirrors,
    urls: mirrors.map(({ url }, index) => `${url}/m${index}/repodata/repomd.xml`),
    list: (body: string) => repository.upstream.serve(`/upstream/base/${LIST}`, { body }),
    publish(index: number, files: Files) {
      for (const [path, body] of Object.entries(files))
        mirrors[index]?.serve(`/m${index}/${path.slice(ROOT.length + 1)}`, { body });
    },
    async bytes(path: string): Promise<Buffer | number> {
      const { status, body } = await repository.ask(`/${path}`);
      return status === 200 ? body : status;
    },
    /** The number of requests that each mirror got since the last time. */
    asked: () => mirrors.map(({ requests }) => requests.splice(0).length),
  };
}

const indexOf = (files: Files): Buffer => files[RPM.pointer] as Buffer;

describe('a root whose mirrors a list tells', () => {
  it.each(['mirrorlist', 'metalink'])(
    'is fetched from them, and never from the server of the list: %s',
    async (form) => {
      const scene = await open(2);
      const files = RPM.files('1.0');
      const bases = scene.urls.map((url) => url.replace('repodata/repomd.xml', ''));
      scene.list(form === 'metalink' ? metalink(scene.urls, indexOf(files)) : `# mirrors\n${bases.join('\n')}\n`);
      scene.publish(1, files);
      for (const [path, body] of Object.entries(files)) expect(await scene.bytes(path)).toEqual(body);
      expect(new Set(scene.upstream.requests.map(({ path }) => path))).toEqual(new Set([`/upstream/base/${LIST}`]));
      for (const mirror of scene.mirrors) mirror.goOffline();
      scene.upstream.goOffline();
      scene.clock.advance(600_000);
      for (const [path, body] of Object.entries(files)) expect(await scene.bytes(path)).toEqual(body);
    },
  );

  it('takes no index but those that the metalink has sums of: of the next mirror then', async () => {
    const scene = await open(2);
    const [old, next, other] = [RPM.files('1.0'), RPM.files('2.0'), RPM.files('3.0')];
    scene.list(metalink(scene.urls, indexOf(next), indexOf(old)));
    scene.publish(0, other);
    scene.publish(1, old);
    // An earlier one is there, too.
    expect(await scene.bytes(RPM.pointer)).toEqual(indexOf(old));
    scene.publish(1, next);
    scene.clock.advance(600_000);
    expect(await scene.bytes(RPM.pointer)).toEqual(indexOf(next));
    // A mirror that is behind says that nothing has changed.
    const later = RPM.files('2.5');
    scene.mirrors[0]?.serve('/m0/repodata/repomd.xml', { body: indexOf(next), etag: '"next"' });
    scene.list(metalink(scene.urls, indexOf(next)));
    scene.clock.advance(600_000);
    await scene.bytes(RPM.pointer);
    scene.list(metalink(scene.urls, indexOf(later)));
    scene.publish(1, later);
    scene.clock.advance(600_000);
    expect(await scene.bytes(RPM.pointer)).toEqual(indexOf(later));
    scene.list(metalink(scene.urls, indexOf(RPM.files('4.0'))));
    scene.clock.advance(600_000);
    const { body, headers } = await scene.ask(`/${RPM.pointer}`);
    expect([body, headers['x-cache-state']]).toEqual([indexOf(later), 'suspect']);
    scene.list(metalink(scene.urls, indexOf(other)));
    scene.publish(1, other);
    scene.clock.advance(600_000);
    expect(await scene.bytes(RPM.pointer)).toEqual(indexOf(other));
  });

  it('is asked of no mirror that a rule forbids', async () => {
    const scene = await open(2, { mirrorHosts: ['*.example.com'] });
    const files = RPM.files('1.0');
    scene.list(metalink(scene.urls, indexOf(files)));
    scene.publish(0, files);
    expect(await scene.bytes(RPM.pointer)).toBe(502);
    expect(scene.asked()).toEqual([0, 0]);
  });

  it('is asked of none in a network that the server of the list is not in', async () => {
    const scene = await open(0);
    for (const host of ['169.254.169.254', '10.0.0.1']) {
      scene.list(`http://${host}/os/\n`);
      expect(await scene.bytes(RPM.pointer)).not.toBe(200);
      scene.clock.advance(600_000);
    }
  });

  it.each(['<html>log in</html>', '<metalink', 'no mirrors\n', '', 'rsync://mirror.example.com/os\n'])(
    'is not there with a list that is none: %j',
    async (body) => {
      const scene = await open(1);
      scene.publish(0, RPM.files('1.0'));
      scene.list(body);
      expect(await scene.bytes(RPM.pointer)).toBe(502);
    },
  );
});

describe('a list of mirrors', () => {
  const read = (text: string) => readMirrorList(Buffer.from(text), 'a list');

  it('has base URLs of http and https alone, best first, each once', () => {
    const lines = [
      '# comment',
      'http://a.example.com/os',
      'ftp://a.example.com/os/',
      'https://user:pass@a.example.com/os/',
      'https://b.example.com/os/repodata/repomd.xml',
      'http://a.example.com/os/',
      'https://c.example.com/os/?x=1',
    ];
    expect(read(lines.join('\r\n')).mirrors).toEqual(['http://a.example.com/os/', 'https://b.example.com/os/']);
    const found = read(
      metalink(['http://a.example.com/repodata/repomd.xml', 'rsync://b/repodata/repomd.xml'], Buffer.from('x')),
    );
    expect(found.mirrors).toEqual(['http://a.example.com/']);
  });

  it('is held to its sums, by the strongest', () => {
    const [first, second, third] = ['1', '2', '3'].map((text) => Buffer.from(text)) as [Buffer, Buffer, Buffer];
    const list = read(metalink(['http://a.example.com/repodata/repomd.xml'], first, second));
    expect([first, second, third].map((bytes) => isListed(list, bytes))).toEqual([true, true, false]);
    const weak = metalink(['http://a.example.com/repodata/repomd.xml'], first).replace(
      /<hash type="sha512">.*?<\/hash>/,
      '',
    );
    expect(() => read(weak)).toThrow('SHA-256');
  });

  it('is bounded, expands nothing, and has no sums of other files', () => {
    expect(() => readMirrorList(Buffer.alloc(1024 * 1024), 'a list')).toThrow('bytes at most');
    expect(() => read('<!DOCTYPE x [<!ENTITY a "b">]><metalink/>')).toThrow('document type');
    const other = metalink(['http://a.example.com/repodata/repomd.xml'], Buffer.from('x')).replace(
      '"repomd.xml"',
      '"other.xml"',
    );
    expect(() => read(other)).toThrow('expected');
  });
});

it('has options that are checked', () => {
  const parse = (options: object) => rpmOptions.safeParse(options).success;
  expect(parse({ mirrorLists: { '9/os': 'mirrorlist?arch=x86_64&repo=BaseOS-9' } })).toBe(true);
  expect(parse({ mirrorLists: { '9/os': 'https://mirrors.example.com/list' } })).toBe(false);
  expect(parse({ mirrorLists: { '/9/os/': 'list' } })).toBe(false);
  expect(parse({ mirrorHosts: [''] })).toBe(false);
});

it('takes mirrors by https alone from a list that was read so and has no sums', async () => {
  const mirrors = new RpmMirrors({ [ROOT]: LIST }, ['*']);
  const body = Buffer.from('http://a.example.com/os/\nhttps://b.example.com/os/\n');
  const read = async () => ({ ...contentOf(body), headers: {} });
  const resource = { class: 'package', key: 'a', path: `${ROOT}/Packages/a%20b.rpm` };
  const at = async (namedBy: string) =>
    await mirrors.locate(resource, { namedBy, read, ask: async () => expect.fail() });
  const [http, https] = ['http://a.example.com/os/Packages/a%20b.rpm', 'https://b.example.com/os/Packages/a%20b.rpm'];
  expect(await at('https://lists.example.com/list')).toEqual({ url: https, mirrors: [] });
  expect(await at('http://lists.example.com/list')).toEqual({ url: http, mirrors: [https] });
  expect(
    await mirrors.locate(
      { ...resource, path: '9/other/a' },
      { namedBy: undefined, read, ask: async () => expect.fail() },
    ),
  ).toBeUndefined();
});
