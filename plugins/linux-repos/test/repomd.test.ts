import { describe, expect, it } from 'vitest';
import { LARGEST_REPOMD, parseRepomd, readRepomd } from '../src/rpm/repomd.js';
import { contentOf, SUM } from './rpm-fixtures.js';

const OPEN = 'cd'.repeat(32);

function repomd(data = item(), { revision = '1796021217', head = '<?xml version="1.0"?>', tags = '' } = {}): string {
  return `${head}
<repomd xmlns="http://linux.duke.edu/metadata/repo" xmlns:rpm="http://linux.duke.edu/metadata/rpm">
  <revision>${revision}</revision>${tags}
${data}
</repomd>
`;
}

function item({
  type = 'primary',
  checksum = `<checksum type="sha256">${SUM}</checksum>`,
  location = `<location href="repodata/${SUM}-primary.xml.gz"/>`,
  more = '',
}: Readonly<Record<string, string>> = {}): string {
  return `<data type="${type}">${checksum}${location}
    <open-checksum type="sha256">${OPEN}</open-checksum>
    <timestamp>1796021216</timestamp><size>565</size><open-size>1070</open-size>${more}</data>`;
}

function read(text: string) {
  return parseRepomd(Buffer.from(text), 'repomd.xml');
}

describe('repomd.xml', () => {
  it('lists metadata files', async () => {
    const zck = item({
      type: 'primary_zck',
      location: '<location href="repodata/x.zck"/>',
      more: `<header-checksum type="sha256">${OPEN}</header-checksum><header-size>269</header-size>`,
    });
    const tags =
      '<tags><content>binary</content><distro cpeid="cpe:/o:fedoraproject:fedora:42">Fedora 42</distro></tags>';
    const found = await readRepomd(contentOf(repomd(item() + zck, { tags })), 'repomd.xml');
    const primary = {
      type: 'primary',
      checksum: { algorithm: 'sha256', hex: SUM },
      openChecksum: { algorithm: 'sha256', hex: OPEN },
      headerChecksum: undefined,
      path: `repodata/${SUM}-primary.xml.gz`,
      size: 565,
      openSize: 1070,
      headerSize: undefined,
      date: 1796021216_000,
    };
    expect(found).toMatchObject({
      revision: '1796021217',
      date: 1796021216_000,
      distributions: ['cpe:/o:fedoraproject:fedora:42'],
    });
    expect(found.items).toEqual([
      primary,
      {
        ...primary,
        type: 'primary_zck',
        path: 'repodata/x.zck',
        headerChecksum: { algorithm: 'sha256', hex: OPEN },
        headerSize: 269,
      },
    ]);
    expect(found.byPath.get('repodata/x.zck')).toBe(found.items[1]);
  });

  it.each([
    ['', undefined],
    ['1796021217', 1796021217_000],
    ['20261130', undefined],
    ['v1.2', undefined],
  ])('is dated by its revision %j where its files are not', (revision, date) => {
    expect(read(repomd(item().replace(/<timestamp>.*<\/timestamp>/, ''), { revision })).date).toBe(date);
  });

  it('has dates with fractions in old repositories', () => {
    const old = item().replace('<timestamp>1796021216', '<timestamp>1396021216.38');
    expect(read(repomd(old)).date).toBe(1396021216_000);
  });

  it.each([
    ['sha', 40],
    ['sha1', 40],
    ['sha384', 96],
    ['sha512', 128],
    ['md5', 32],
  ])('has checksums by %s', (type, length) => {
    const checksum = `<checksum type="${type}">${'C'.repeat(length)}</checksum>`;
    expect(read(repomd(item({ checksum }))).items[0]?.checksum).toEqual({
      algorithm: type === 'sha' ? 'sha1' : type,
      hex: 'c'.repeat(length),
    });
  });

  it.each([
    ['a path that leads elsewhere', repomd(item({ location: '<location href="../primary.xml.gz"/>' })), /path/],
    ['an absolute path', repomd(item({ location: '<location href="/primary.xml.gz"/>' })), /path/],
    ['a URL', repomd(item({ location: '<location href="https://evil.example.com/x"/>' })), /path/],
    ['no path', repomd(item({ location: '' })), /path/],
    ['another base', repomd(item({ location: '<location xml:base="https://e.example.com" href="x"/>' })), /xml:base/],
    ['no checksum', repomd(item({ checksum: '' })), /checksum/],
    ['a checksum of another kind', repomd(item({ checksum: `<checksum type="sha3">${SUM}</checksum>` })), /checksum/],
    ['two checksums', repomd(item({ more: `<checksum type="sha256">${OPEN}</checksum>` })), /two/],
    [
      'two sums of one file',
      repomd(item() + item({ checksum: `<checksum type="sha256">${OPEN}</checksum>` })),
      /twice/,
    ],
    ['no type', repomd(item().replace(' type="primary"', '')), /type/],
    ['an entity', repomd(item(), { head: '<!DOCTYPE repomd [<!ENTITY a "b">]>' }), /document type/],
    ['an entity that is not declared', repomd(item({ type: '&a;' })), /XML/],
    ['deep nesting', `<repomd>${'<a>'.repeat(1000)}`, /levels/],
    [
      'too many files',
      repomd(Array.from({ length: 1001 }, (_, at) => item({ location: `<location href="${at}"/>` })).join('')),
      /1000/,
    ],
    ['too many bytes', repomd(' '.repeat(LARGEST_REPOMD)), /bytes/],
    ['a web page', '<html><body>Please log in</body></html>', /repomd/],
    ['nothing', '', /XML/],
    ['half of it', repomd().slice(0, 300), /XML/],
  ])('is refused with %s', (_what, text, problem) => {
    expect(() => read(text)).toThrow(problem);
    expect(() => read(text)).toThrow(expect.objectContaining({ kind: 'upstream-unavailable' }) as Error);
  });
});
