import { execFileSync } from 'node:child_process';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { rpmOrder } from '@entrepot/core/formats';
import { readPrimaryRows } from '../src/rpm/primary-rows.js';
import { readListed, type ListedFile } from '../src/shared/listed.js';
import { contentOf, primaryXml, rpmPackage, SUM } from './rpm-fixtures.js';

async function read(bytes: Uint8Array | string, piece?: number): Promise<Record<string, ListedFile>> {
  const found: Record<string, ListedFile> = {};
  for await (const [path, value] of readPrimaryRows(contentOf(bytes, piece))) {
    const { more, ...file } = readListed(Buffer.from(value as string));
    expect(more).toEqual([]);
    found[path] = file;
  }
  return found;
}

const HELLO = {
  checksum: { algorithm: 'sha256', hex: SUM },
  size: 5557,
  name: 'hello-libs',
  version: '1.0-3.el9',
  architecture: 'x86_64',
  source: 'hello',
  sourceVersion: '1.0-3.el9',
};
const PATH = 'Packages/h/hello-libs-1.0-3.el9.x86_64.rpm';

describe('the packages of primary.xml', () => {
  it('have what the index says, in whatever it is packed', async () => {
    const xml = primaryXml(rpmPackage(), rpmPackage({ epoch: '2', location: '<location href="./a//b.rpm"/>' }));
    const expected = { [PATH]: HELLO, 'a/b.rpm': { ...HELLO, version: '2:1.0-3.el9', sourceVersion: '2:1.0-3.el9' } };
    expect(await read(xml, 7)).toEqual(expected);
    expect(await read(`\u{feff}${xml}`)).toEqual(expected);
    expect(await read(gzipSync(xml), 100)).toEqual(expected);
    expect(await read(zstdCompressSync(Buffer.from(xml)))).toEqual(expected);
    expect(await read(execFileSync('xz', ['--stdout'], { input: xml }))).toEqual(expected);
    for (const { version } of Object.values(expected)) expect(rpmOrder.parse(version)).toBeDefined();
  });

  it.each([
    ['sha', 'sha1', 40],
    ['sha1', 'sha1', 40],
    ['md5', 'md5', 32],
    ['sha384', 'sha384', 96],
    ['SHA512', 'sha512', 128],
  ])('are summed by %s', async (type, algorithm, length) => {
    const hex = 'c'.repeat(length);
    const checksum = `<checksum type="${type}" pkgid="YES">\n${hex.toUpperCase()}\n</checksum>`;
    expect((await read(primaryXml(rpmPackage({ checksum }))))[PATH]?.checksum).toEqual({ algorithm, hex });
  });

  it.each([
    ['curl-7.88.1-10.el9.src.rpm', 'curl', '7.88.1-10.el9'],
    ['python3-dateutil-2.8-1.nosrc.rpm', 'python3-dateutil', '2.8-1'],
    ['', 'hello-libs', '1.0-3.el9'],
    ['curl-7.88.1-10.el9.x86_64.rpm', 'hello-libs', '1.0-3.el9'],
    ['curl.src.rpm', 'hello-libs', '1.0-3.el9'],
    ['-1-1.src.rpm', 'hello-libs', '1.0-3.el9'],
  ])('are of the source package %j', async (file, source, sourceVersion) => {
    expect((await read(primaryXml(rpmPackage({ source: file }))))[PATH]).toMatchObject({ source, sourceVersion });
  });

  it.each([
    ['libstdc%2B%2B.rpm', 'libstdc++.rpm'],
    ['libstdc++ 1~2^3.rpm', 'libstdc++ 1~2^3.rpm'],
    ['100%.rpm', '100%.rpm'],
    ['a&amp;b.rpm', 'a&b.rpm'],
  ])('are found as requests have them: %s', async (href, path) => {
    const location = `<location href="${href}"/>`;
    expect(Object.keys(await read(primaryXml(rpmPackage({ location }))))).toEqual([path]);
  });

  it.each([
    ['a place above', { location: '<location href="../../etc/passwd"/>' }],
    ['a place above, encoded', { location: '<location href="a/%2e%2e/%2e%2e/etc/passwd"/>' }],
    ['an absolute path', { location: '<location href="/etc/passwd"/>' }],
    ['a URL', { location: '<location href="https://evil.example.com/a.rpm"/>' }],
    ['another base', { location: '<location xml:base="https://evil.example.com/" href="a.rpm"/>' }],
    ['an encoded NUL', { location: '<location href="a%00.rpm"/>' }],
    ['no place', { location: '' }],
    ['a folder', { location: '<location href="./"/>' }],
    ['no checksum', { checksum: '' }],
    ['a checksum of another length', { checksum: '<checksum type="sha256" pkgid="YES">abcd</checksum>' }],
    ['an unknown checksum', { checksum: `<checksum type="blake3" pkgid="YES">${SUM}</checksum>` }],
    ['a name with blanks', { name: 'hello world' }],
    ['no name', { name: '' }],
  ])('are left out with %s', async (_what, one) => {
    expect(Object.keys(await read(primaryXml(rpmPackage(one), rpmPackage())))).toEqual([PATH]);
  });

  it.each([
    ['another list', '<?xml version="1.0"?><filelists packages="1"><package pkgid="x"/></filelists>'],
    ['sqlite', 'SQLite format 3\0'],
    ['bzip2', 'BZh91AY&SY'],
    ['zchunk', '\0ZCK1'],
    ['nothing', ''],
  ])('are none in %s', async (_what, text) => {
    expect(await read(text)).toEqual({});
  });
});

it('reads the list of deltas', async () => {
  const delta = `<delta oldepoch="0" oldversion="0.9" oldrelease="1"><filename>drpms/hello-0.9_1.0.drpm</filename>
    <sequence>hello-x</sequence><size>17</size><checksum type="sha256">${SUM}</checksum></delta>`;
  const xml = (root: string) => `<${root}>
  <newpackage name="hello" epoch="1" version="1.0" release="2" arch="x86_64">${delta}${delta.replace('0.9_', '0.8_').replace(SUM, '')}</newpackage></${root}>`;
  for (const root of ['prestodelta', 'deltainfo'])
    expect(await read(xml(root))).toEqual({
      'drpms/hello-0.9_1.0.drpm': {
        checksum: { algorithm: 'sha256', hex: SUM },
        size: 17,
        name: 'hello',
        version: '1:1.0-2',
        architecture: 'x86_64',
        source: 'hello',
        sourceVersion: '1:1.0-2',
      },
    });
});

/** Attributes whose names stand nowhere else. */
function attributes(piece: number): string {
  return Array.from({ length: 500 }, (_, at) => `a${piece}-${at}="b" `).join('');
}

describe('a primary.xml that is refused', () => {
  const laughs = '<!DOCTYPE metadata [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>';
  it.each([
    ['a billion laughs', `${laughs}${primaryXml(rpmPackage({ name: '&b;' })).replace(/^.*\n/, '')}`],
    ['an entity that refers to itself', `<!DOCTYPE m [<!ENTITY a "&a;">]><metadata>&a;</metadata>`],
    ['an external entity', '<!DOCTYPE m [<!ENTITY a SYSTEM "file:///etc/passwd">]><metadata>&a;</metadata>'],
    ['an external document type', '<!DOCTYPE m SYSTEM "https://evil.example.com/m.dtd"><metadata/>'],
    ['an entity that is not declared', primaryXml(rpmPackage({ name: '&a;' }))],
    ['deep nesting', `<metadata>${'<a>'.repeat(100_000)}`],
    ['an end that is missing', primaryXml(rpmPackage()).slice(0, -20)],
    ['a second root', `${primaryXml(rpmPackage())}<metadata/>`],
    ['crossed tags', '<metadata><package></metadata></package>'],
    ['an attribute that stands there twice', '<metadata a="1" a="2"/>'],
    ['a control character', primaryXml(rpmPackage({ name: '&#0;' }))],
    ['a web page', '<!doctype html><html><body>Please log in</body></html>'],
  ])('has %s', async (_what, xml) => {
    await expect(read(xml, 1000)).rejects.toMatchObject({ kind: 'upstream-unavailable' });
  });

  it.each([
    ['text', '<metadata><package><description>', 'a'],
    ['a comment', '<metadata><!--', 'a'],
    ['comments', '<metadata>', '<!--a-->'],
    ['a name', '<metadata><', 'a'],
    ['an attribute', '<metadata a="', 'a'],
    ['attributes', '<metadata ', 'attributes'],
    ['CDATA', '<metadata><![CDATA[', 'a'],
    ['blanks', '<metadata ', ' '],
    ['an instruction', '<metadata><?a ', 'a'],
  ])('has endless %s', async (_what, start, repeated) => {
    let pieces = 0;
    async function* stream() {
      yield Buffer.from(start);
      for (; pieces < 10_000; pieces += 1)
        yield Buffer.from(repeated === 'attributes' ? attributes(pieces) : repeated.repeat(10_000));
    }
    const reading = (async () => {
      for await (const row of readPrimaryRows({ stream })) expect(row).toBeDefined();
    })();
    await expect(reading).rejects.toMatchObject({ kind: 'upstream-unavailable' });
    expect(pieces).toBeLessThan(2_000);
  });

  it('is a bomb', async () => {
    const packed = gzipSync(Buffer.concat([Buffer.from('<metadata>'), Buffer.alloc(64 * 1024 * 1024, 32)]));
    await expect(read(packed)).rejects.toThrow(/a tag every/);
  });
});
