import { describe as group, expect, it } from 'vitest';
import type { ArtifactDescription, Content, RenderRequest } from '@entrepot/core';
import type { ProjectPage } from '../src/project-page.js';
import { renderPage } from '../src/representation.js';
import { contentOf, HTML_TYPE, JSON_TYPE, parsePage, pypi, requestFor, sha256, textOf } from './fixtures.js';

interface RenderedFile {
  readonly filename: string;
  readonly url: string;
  readonly [key: string]: unknown;
}

interface RenderedPage {
  readonly meta: { readonly 'api-version': string };
  readonly files: readonly RenderedFile[];
  readonly versions?: readonly string[];
  readonly [key: string]: unknown;
}

const HASH = sha256('x');
const TAG = HASH.slice(0, 16);

async function render(
  content: Content,
  form: 'json' | 'html',
  admits?: RenderRequest['admits'],
  project = 'demo',
): Promise<string> {
  return print(await parsePage(content, project), form, content, admits);
}

function print(page: ProjectPage, form: string, content: Content, admits?: RenderRequest['admits']): Promise<string> {
  return textOf(renderPage(page, requestFor({ ...pypi.page(page.project), variant: form }, content, admits), pypi));
}

/** The descriptions of all that a page lists. */
async function describe(content: Content): Promise<ArtifactDescription[]> {
  return [...(await parsePage(content)).descriptions()].map(([, description]) => description);
}

async function renderJson(content: Content, admits?: RenderRequest['admits']): Promise<RenderedPage> {
  return JSON.parse(await render(content, 'json', admits)) as RenderedPage;
}

const html = (body: string, pieceSize = Infinity): Content => contentOf(body, 'text/html', pieceSize);
const page = (value: object): Content =>
  contentOf(JSON.stringify({ meta: { 'api-version': '1.0' }, files: [], ...value }));
const file = (filename: string, more: object = {}): object => ({
  filename,
  url: `https://files.example.com/${encodeURIComponent(filename)}`,
  hashes: { sha256: sha256(filename) },
  ...more,
});

group('an HTML page', () => {
  it.each([
    ['absolute', '<a href="https://f.example.com/demo-1.0.tar.gz">x</a>', 'https://f.example.com/demo-1.0.tar.gz'],
    ['relative', '<a href="../../p/demo-1.0.tar.gz">x</a>', '../../p/demo-1.0.tar.gz'],
    ['without a host', '<a href="/p/demo-1.0.tar.gz">x</a>', '/p/demo-1.0.tar.gz'],
    ['without a scheme', '<a href="//f.example.com/demo-1.0.tar.gz">x</a>', '//f.example.com/demo-1.0.tar.gz'],
    ['with a query', '<a href="demo-1.0.tar.gz?sig=a&amp;b=c">x</a>', 'demo-1.0.tar.gz?sig=a&b=c'],
    [
      'below a base',
      '<base href="https://f.example.com/a/"><a href="../demo-1.0.tar.gz">',
      'https://f.example.com/demo-1.0.tar.gz',
    ],
    ['below a relative base', '<base href="../b/"><a href="demo-1.0.tar.gz">', '../b/demo-1.0.tar.gz'],
    ['below a base without a host', '<base href="/b/"><a href="/demo-1.0.tar.gz">', '/demo-1.0.tar.gz'],
    [
      'below a base without a scheme',
      '<base href="//f.example.com/"><a href="demo-1.0.tar.gz">',
      '//f.example.com/demo-1.0.tar.gz',
    ],
    ['in capitals', '<A HREF="demo-1.0.tar.gz">x</A>', 'demo-1.0.tar.gz'],
    ['without quotes', '<a href=demo-1.0.tar.gz>x', 'demo-1.0.tar.gz'],
    ['not closed', '<p><a href="demo-1.0.tar.gz"><td>x', 'demo-1.0.tar.gz'],
    ['with spaces around', '<a href="\n demo-1.0.tar.gz ">x</a>', 'demo-1.0.tar.gz'],
  ])('has links that are %s', async (_, body, location) => {
    for (const pieceSize of [Infinity, 1, 5]) {
      const found = await describe(html(body, pieceSize));
      expect(found.map((one) => one.location)).toEqual([location]);
    }
  });

  it.each([
    ['upper case', `#sha256=${HASH.toUpperCase()}`, [{ algorithm: 'sha256', hex: HASH }]],
    ['egg first', `#egg=demo-1.0&sha256=${HASH}`, [{ algorithm: 'sha256', hex: HASH }]],
    ['egg last', `#sha256=${HASH}&amp;egg=demo`, [{ algorithm: 'sha256', hex: HASH }]],
    [
      'md5 only',
      '#md5=d41d8cd98f00b204e9800998ecf8427e',
      [{ algorithm: 'md5', hex: 'd41d8cd98f00b204e9800998ecf8427e' }],
    ],
    ['none', '', []],
    ['too short', '#sha256=abc', []],
    ['unknown', `#blake2b=${HASH}`, []],
  ])('has hashes: %s', async (_, fragment, integrity) => {
    const content = html(`<a href="demo-1.0.tar.gz${fragment}">x</a>`);
    expect((await describe(content)).map((one) => one.integrity)).toEqual([integrity]);
  });

  it.each([
    '<!-- <a href="demo-1.0.tar.gz">x</a> -->',
    '<a href="javascript:demo-1.0.tar.gz">x</a>',
    '<a href="ftp://f.example.com/demo-1.0.tar.gz">x</a>',
    '<a href="demo-1.0.tar.gz.asc">x</a>',
    '<a href="../">Parent</a>',
    '<a href="other-1.0.tar.gz">x</a>',
    '<a href="demo-1.0%ZZ.tar.gz">x</a>',
    '<a href="demo-1.0%2f..%2fx.tar.gz">x</a>',
    '<a name="demo-1.0.tar.gz">x</a>',
  ])('has no file in %s', async (body) => {
    expect(await describe(html(`<title>Links for demo</title>${body}`))).toEqual([]);
  });

  it.each(['<title>Welcome</title><form>Log in</form>', '', 'nothing', '<h1>It works!</h1>'])(
    'is refused when it is no index: %s',
    async (body) => {
      await expect(parsePage(html(body))).rejects.toMatchObject({ code: 'UPSTREAM_MALFORMED' });
    },
  );

  it('is read with all its attributes', async () => {
    const attributes = [
      `href="https://f.example.com/demo-1.0-py3-none-any.whl#sha256=${HASH}"`,
      'data-requires-python="&gt;=3.8,&lt;4"',
      'data-yanked="it &quot;breaks&quot; &amp; burns"',
      `data-dist-info-metadata="sha256=${HASH}"`,
      'data-gpg-sig="false"',
      'data-provenance="https://p.example.com/x"',
    ];
    const content = html(`<a ${attributes.join(' ')}>demo</a>`);
    const { meta, files, versions } = await renderJson(content);
    expect(meta).toEqual({ 'api-version': '1.0' });
    expect(versions).toBeUndefined();
    expect(files).toEqual([
      {
        filename: 'demo-1.0-py3-none-any.whl',
        url: `../../files/demo/${TAG}/demo-1.0-py3-none-any.whl`,
        hashes: { sha256: HASH },
        'requires-python': '>=3.8,<4',
        yanked: 'it "breaks" & burns',
        'gpg-sig': false,
        'core-metadata': { sha256: HASH },
        provenance: 'https://p.example.com/x',
      },
    ]);
  });

  it.each([
    ['data-yanked=""', true],
    ['data-yanked', true],
    ['data-yanked="why"', 'why'],
    ['', false],
  ])('says by %s that a file is yanked: %s', async (attribute, yanked) => {
    const { files } = await renderJson(html(`<a href="demo-1.0.tar.gz" ${attribute}>x</a>`));
    expect(files[0]?.['yanked']).toBe(yanked);
  });

  it('of 10 MB is read without holding the event loop', async () => {
    const line = (index: number): string =>
      `<a href="https://f.example.com/demo-1.${index}.tar.gz#sha256=${sha256(String(index))}">demo</a><br>\n`;
    const body = Array.from({ length: 80_000 }, (_, index) => line(index)).join('');
    let turns = 0;
    let isReading = true;
    const count = (): void => {
      turns += 1;
      if (isReading) setImmediate(count);
    };
    setImmediate(count);
    const found = await parsePage(html(body, body.length));
    isReading = false;
    expect([...found.files.all()]).toHaveLength(80_000);
    expect(turns).toBeGreaterThan(10);
  });
});

group('a JSON page', () => {
  it('keeps what clients need, and drops what is private', async () => {
    const content = page({
      meta: { 'api-version': '1.4', '_last-serial': 1, tracks: ['https://x.example.com'] },
      name: 'Demo',
      _private: { secret: 1 },
      'alternate-locations': ['https://x.example.com'],
      'project-status': { status: 'archived', reason: 'done' },
      versions: ['1.0', '2.0'],
      files: [
        file('demo-1.0.tar.gz', {
          'requires-python': null,
          size: 12,
          'upload-time': '2020-01-01T00:00:00.123456Z',
          yanked: false,
          _x: 1,
        }),
      ],
    });
    const rendered = await renderJson(content, ({ version }) => version !== undefined);
    expect(rendered).toEqual({
      meta: { 'api-version': '1.4' },
      name: 'demo',
      'project-status': { status: 'archived', reason: 'done' },
      files: [
        {
          filename: 'demo-1.0.tar.gz',
          url: `../../files/demo/${sha256('demo-1.0.tar.gz').slice(0, 16)}/demo-1.0.tar.gz`,
          hashes: { sha256: sha256('demo-1.0.tar.gz') },
          size: 12,
          'upload-time': '2020-01-01T00:00:00.123456Z',
          yanked: false,
        },
      ],
      versions: ['1.0', '2.0'],
    });
  });

  it.each([
    [{ meta: { 'api-version': '1.9' }, versions: [] }, '1.4'],
    [{ meta: { 'api-version': '1.1' }, versions: [] }, '1.1'],
    [{ meta: { 'api-version': '1.1' } }, '1.0'],
    [{ meta: {} }, '1.0'],
  ])('%j speaks version %s', async (value, version) => {
    expect((await renderJson(page(value))).meta['api-version']).toBe(version);
  });

  it.each([
    [{ meta: { 'api-version': '2.0' } }, /API version 2\.x; expected 1\.x/],
    [{ meta: undefined }, /no "meta"/],
    [{ name: 'other' }, /the page of "other"/],
  ])('%j is refused', async (value, message) => {
    await expect(parsePage(page(value))).rejects.toThrow(message);
  });

  it('says nothing that it does not know', async () => {
    const odd = [
      { ...file('demo-1.0.tar.gz'), hashes: { sha256: 'zz', 'x y': HASH, blake2b_256: HASH }, size: '12', yanked: '' },
      { filename: 'demo-2.0.tar.gz', url: 12 },
      { filename: 'a/demo-2.0.tar.gz', url: 'https://x.example.com/demo-2.0.tar.gz' },
      { filename: '../demo-2.0.tar.gz', url: 'https://x.example.com/demo-2.0.tar.gz' },
      'text',
      null,
      file('demo-3.0-py3-none-any.whl', { 'core-metadata': { sha256: 'zz' }, 'requires-python': 12 }),
      file('demo-4.0-py3-none-any.whl', { 'core-metadata': false, 'dist-info-metadata': { sha256: HASH } }),
    ];
    const { files } = await renderJson(page({ files: odd }));
    expect(files.map(({ filename }) => filename)).toEqual([
      'demo-1.0.tar.gz',
      'demo-3.0-py3-none-any.whl',
      'demo-4.0-py3-none-any.whl',
    ]);
    expect(files[0]).toMatchObject({ hashes: { blake2b_256: HASH }, yanked: false });
    expect(files[0]).not.toHaveProperty('size');
    for (const one of files) expect(one).not.toHaveProperty('core-metadata');
  });

  it('is read once, for what it says and for all its forms', async () => {
    for (const padding of ['', 'x'.repeat(1024 * 1024)]) {
      const content = page({ _padding: padding, files: [file('demo-1.0.tar.gz')], versions: ['1.0'] });
      let readings = 0;
      const count = <Read extends (...given: never[]) => unknown>(read: Read): Read =>
        ((...given: never[]) => ((readings += 1), read(...given))) as Read;
      const counted = { ...content, stream: count(content.stream), bytes: count(content.bytes) };
      const found = await parsePage(counted);
      const json = await print(found, 'json', counted);
      const asHtml = await print(found, 'html', counted);
      expect([...found.descriptions()].every(([key]) => found.describe(key) !== undefined)).toBe(true);
      expect(json).toContain('demo-1.0.tar.gz');
      expect(asHtml).toContain('demo-1.0.tar.gz');
      expect(readings).toBe(1);
    }
  });

  it.each([
    { files: [file('demo-1.0.tar.gz'), null, 'text', { filename: 12 }, file('demo-1.0.tar.gz')], versions: ['1.0', 2] },
    { files: { a: file('demo-1.0.tar.gz') }, versions: { b: '1.0' }, 'project-status': { state: 'archived' } },
    { files: 'none', versions: [], meta: { 'api-version': '1.1' }, 'project-status': 12, name: ['demo'] },
    { files: 12, versions: null },
    { files: [file('demo-1.0.tar.gz', { hashes: JSON.parse('{"__proto__":"x"}') as object })], name: 'DEMO' },
  ])('is read alike whatever its size: %j', async (value) => {
    const large = { ...value, _padding: 'x'.repeat(1024 * 1024) };
    expect(await renderJson(page(large))).toEqual(await renderJson(page(value)));
  });

  it.each(['{"meta":{},"files":[1,]}', '{"meta":{},"files":[]', '[]', '"text"', ''])(
    'is refused alike whatever its size: %s',
    async (body) => {
      for (const space of ['', ' '.repeat(1024 * 1024)])
        await expect(parsePage(contentOf(space + body))).rejects.toMatchObject({
          code: 'UPSTREAM_MALFORMED',
        });
    },
  );

  it('takes names of object members for nothing special', async () => {
    const files = '[{"filename":"constructor-1.0.tar.gz","url":"x/constructor-1.0.tar.gz","hashes":{"__proto__":"x"}}]';
    const content = contentOf(`{"meta":{},"__proto__":{"files":1},"files":${files},"versions":["__proto__"]}`);
    const rendered = await render(content, 'json', undefined, 'constructor');
    expect(JSON.parse(rendered)).toMatchObject({
      name: 'constructor',
      versions: ['__proto__'],
      files: [{ hashes: {} }],
    });
  });

  it('in quarantine has no files, and says so of each', async () => {
    for (const status of [{ status: 'quarantined' }, { state: 'quarantined', reason: 'malware' }]) {
      const content = page({ files: [file('demo-1.0.tar.gz')], versions: ['1.0'], 'project-status': status });
      const described = await describe(content);
      expect(described).toMatchObject([{ upstream: 'quarantined' }]);
      // Nowhere to fetch it from.
      expect(described[0]).not.toHaveProperty('location');
      const rendered = await renderJson(content);
      expect(rendered).toMatchObject({ files: [], 'project-status': { status: 'quarantined' } });
    }
  });
});

group('descriptions', () => {
  it('are of the file and of the sidecars that are advertised', async () => {
    const files = [
      file('demo-1.0-py3-none-any.whl', {
        url: 'https://f.example.com/demo-1.0-py3-none-any.whl?sig=1',
        'core-metadata': { sha256: HASH },
        'gpg-sig': true,
        'upload-time': '2020-01-02T03:04:05.5+01:00',
      }),
      file('demo-2.0-py3-none-any.whl', { 'core-metadata': true, 'upload-time': '2020-01-02T03:04:05', yanked: true }),
      file('demo-3.0-py3-none-any.whl', { hashes: { md5: 'd41d8cd98f00b204e9800998ecf8427e', sha256: HASH } }),
    ];
    const found = await parsePage(page({ files }));
    const key = (name: string, tag = sha256(name).slice(0, 16)): string => `file/demo/${tag}/${name}`;
    const coordinates = { ecosystem: 'pypi', name: 'demo', version: '1.0' };
    const publishedAt = Date.UTC(2020, 0, 2, 2, 4, 5, 500);
    expect(found.describe(`${key('demo-1.0-py3-none-any.whl')}.metadata`)).toEqual({
      coordinates,
      publishedAt,
      integrity: [{ algorithm: 'sha256', hex: HASH }],
      location: 'https://f.example.com/demo-1.0-py3-none-any.whl.metadata?sig=1',
      provenance: 'none',
      yanked: false,
    });
    expect(found.describe(`${key('demo-1.0-py3-none-any.whl')}.asc`)).toMatchObject({ integrity: [] });
    expect(found.describe(`${key('demo-2.0-py3-none-any.whl')}.metadata`)).toMatchObject({
      integrity: [],
      yanked: true,
    });
    expect(found.describe(key('demo-2.0-py3-none-any.whl'))?.publishedAt).toBe(Date.UTC(2020, 0, 2, 3, 4, 5));
    expect(found.describe(key('demo-3.0-py3-none-any.whl', TAG))?.integrity).toEqual([
      { algorithm: 'sha256', hex: HASH },
    ]);
    expect(found.describe(`${key('demo-3.0-py3-none-any.whl', TAG)}.metadata`)).toBeUndefined();
  });

  it('tell of a version what was there before it', async () => {
    const at = (day: number): string => `2026-01-0${day}T00:00:00Z`;
    const files = [
      file('demo-2.0.tar.gz', { 'upload-time': at(2) }),
      file('demo-1.0.tar.gz', { 'upload-time': at(1), provenance: 'https://p.example.com/x' }),
      file('demo-1.0-py3-none-any.whl', { 'upload-time': at(1) }),
      file('demo-3.0.tar.gz', { 'upload-time': at(3) }),
      file('demo-4.0.tar.gz', {}),
    ];
    const found = await parsePage(page({ files, 'project-status': { status: 'archived' } }));
    const facts = [...found.descriptions()].map(([, description]) => [
      description.coordinates?.version,
      description.provenance,
      description.before?.map(({ version, provenance }) => `${version} ${provenance}`),
      description.deprecated,
    ]);
    expect(facts).toEqual([
      ['2.0', 'none', ['1.0 attested'], true],
      ['1.0', 'attested', undefined, true],
      ['1.0', 'none', undefined, true],
      ['3.0', 'none', ['2.0 none', '1.0 attested'], true],
      ['4.0', 'none', undefined, true],
    ]);
    expect(found.describe('integrity/demo/2.0/demo-2.0.tar.gz')).toMatchObject({ before: [{ version: '1.0' }] });
  });

  it('keep files of one name apart by their hash, else by their place', async () => {
    const one = page({ files: [file('demo-1.0.tar.gz', { hashes: { sha256: HASH } })] });
    const other = page({ files: [file('demo-1.0.tar.gz')] });
    const without = page({
      files: [file('demo-1.0.tar.gz', { hashes: {}, url: 'https://a.example.com/demo-1.0.tar.gz?x=1' })],
    });
    const keys = await Promise.all(
      [one, other, without].map(async (content) => [...(await parsePage(content)).files.all()][0]?.[0]),
    );
    expect(new Set(keys).size).toBe(3);
    expect(keys[2]).toMatch(/^file\/demo\/u-[0-9a-f]{16}\/demo-1\.0\.tar\.gz$/);
  });
});

group('policy', () => {
  const files = [
    file('demo-1.0.tar.gz'),
    file('demo-1.0.0-py3-none-any.whl'),
    file('demo-2.0.tar.gz'),
    file('demo-3.0.tar.gz'),
  ];
  const content = page({ files, versions: ['1.0.0', '2.0', '3.0', '4.0', '5.0'] });
  const admits: RenderRequest['admits'] = ({ version }) => !['2.0', '5.0'].includes(version ?? '');

  it('leaves refused files out, and versions with them', async () => {
    const rendered = await renderJson(content, admits);
    expect(rendered.files.map(({ filename }) => filename)).toEqual([
      'demo-1.0.tar.gz',
      'demo-1.0.0-py3-none-any.whl',
      'demo-3.0.tar.gz',
    ]);
    expect(rendered.versions).toEqual(['1.0.0', '3.0', '4.0']);
    expect(await render(content, 'html', admits)).not.toContain('demo-2.0');
  });

  it('keeps a version of which one file is left', async () => {
    let asked = 0;
    const rendered = await renderJson(content, () => ++asked !== 1);
    expect(rendered.files).toHaveLength(3);
    expect(rendered.versions).toContain('1.0.0');
  });

  it('that refuses everything leaves a page', async () => {
    expect(await renderJson(content, () => false)).toMatchObject({ files: [], versions: [] });
    expect(await render(content, 'html', () => false)).toContain('Links for demo');
  });
});

group('round trips', () => {
  const reasons = [false, true, 'a "quoted" <reason> & more', "it's"];
  const specifiers = [undefined, '>=3.8', '>=3.6,!=3.7.*,<4'];
  const names = [
    'demo-1.0.tar.gz',
    'demo-1.0+local.1-py3-none-any.whl',
    'demo-1!2.0.zip',
    'Demo-3.0-py2.7.egg',
    'demo-4.0.exe',
  ];
  const files = names.flatMap((name, index) =>
    file(name, {
      'requires-python': specifiers[index % specifiers.length],
      yanked: reasons[index % reasons.length],
      'gpg-sig': index % 2 === 0 ? false : undefined,
      'core-metadata': index === 1 ? { sha256: HASH } : index === 2 ? true : undefined,
      provenance: index === 1 ? 'https://p.example.com/a?b=1&c="' : undefined,
    }),
  );
  const content = page({ files });

  it('of JSON through HTML give the same JSON', async () => {
    const direct = await renderJson(content);
    for (const mediaType of ['text/html', HTML_TYPE, 'application/octet-stream']) {
      const asHtml = contentOf(await render(content, 'html'), mediaType, 11);
      const again = await renderJson(asHtml);
      // The second reading finds our own URLs, so only the segment for the place of files without a hash could differ.
      expect(again).toEqual(direct);
    }
  });

  it('of HTML through JSON give the same HTML', async () => {
    const asHtml = await render(content, 'html');
    const asJson = contentOf(await render(contentOf(asHtml, 'text/html'), 'json'), 'application/json', 13);
    expect(await render(asJson, 'html')).toBe(asHtml);
    expect(asHtml).toContain('data-requires-python="&gt;=3.6,!=3.7.*,&lt;4"');
    expect(asHtml).toContain('data-yanked=""');
    expect(asHtml).toContain('/demo-1.0%2Blocal.1-py3-none-any.whl#sha256=');
    expect(asHtml).toContain('data-core-metadata="true" data-dist-info-metadata="true"');
    expect(asHtml).not.toContain('"quoted"');
  });

  it('keep the status of the project', async () => {
    const archived = page({
      files,
      versions: [],
      meta: { 'api-version': '1.4' },
      'project-status': { status: 'archived', reason: '<x>' },
    });
    const asHtml = await render(archived, 'html');
    expect(asHtml).toContain('<meta name="pypi:repository-version" content="1.4">');
    const again = await renderJson(contentOf(asHtml, 'text/html'));
    expect(again['project-status']).toEqual({ status: 'archived', reason: '<x>' });
  });
});

group('a stored page without a media type', () => {
  it.each([
    [' \n{"meta":{},"files":[]}', true],
    ['<html><title>Links for demo</title>', true],
    ['login please', false],
  ])('is told by its first character: %s', async (body, isPage) => {
    const reading = parsePage(contentOf(body, 'application/octet-stream'));
    if (isPage) expect([...(await reading).files.all()]).toEqual([]);
    else await expect(reading).rejects.toMatchObject({ code: 'UPSTREAM_MALFORMED' });
  });

  it('is what its media type says where it has one', async () => {
    await expect(parsePage(contentOf('<html>', JSON_TYPE))).rejects.toThrow(/not a JSON object/);
  });
});
