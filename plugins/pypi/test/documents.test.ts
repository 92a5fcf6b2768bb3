import { describe as group, expect, it } from 'vitest';
import type { Content, RenderRequest, Resource } from '@entrepot/core';
import { index, project } from '../src/classes.js';
import { renderProject } from '../src/project-document.js';
import { renderProjectList } from '../src/project-list.js';
import { contentOf, parse, pypi, request, requestFor, sha256, textOf } from './fixtures.js';

group('the list of all projects', () => {
  const document = pypi.route(request('/simple/')) as Resource;
  const json = (names: readonly string[]): Content =>
    contentOf(
      JSON.stringify({
        meta: { 'api-version': '1.4', '_last-serial': 9 },
        projects: names.map((name) => ({ name, _s: 1 })),
      }),
      'application/vnd.pypi.simple.v1+json',
      64 * 1024,
    );

  async function render(
    content: Content,
    form: 'json' | 'html',
    isServed: (name: string) => boolean = () => true,
  ): Promise<string> {
    await parse(index, document, content);
    const admits: RenderRequest['admits'] = ({ name }) => name !== 'denied';
    return textOf(renderProjectList(requestFor({ ...document, variant: form }, content, admits), isServed));
  }

  it('is JSON or HTML, without what is denied or owned by others', async () => {
    const content = json(['Demo', 'foo.bar', 'denied', 'acme-sdk', 'not a name', '']);
    const isServed = (name: string): boolean => !name.startsWith('acme-');
    expect(JSON.parse(await render(content, 'json', isServed))).toEqual({
      meta: { 'api-version': '1.0' },
      projects: [{ name: 'Demo' }, { name: 'foo.bar' }],
    });
    const html = await render(content, 'html', isServed);
    expect([...html.matchAll(/<a href="([^"]+)">([^<]+)</g)].map(([, link, text]) => [link, text])).toEqual([
      ['demo/', 'Demo'],
      ['foo-bar/', 'foo.bar'],
    ]);
  });

  it('is read from HTML', async () => {
    const links = ['/simple/demo/', 'foo-bar', 'https://x.example.com/simple/baz/?q#f', '../'];
    const body = `<title>Simple index</title>${links.map((link) => `<a href="${link}">x</a>`).join('')}`;
    const found = JSON.parse(await render(contentOf(body, 'text/html'), 'json')) as { projects: { name: string }[] };
    expect(found.projects.map(({ name }) => name)).toEqual(['demo', 'foo-bar', 'baz']);
  });

  it.each([
    ['{"projects":[]}', 'application/json'],
    ['{"meta":{"api-version":"2.0"},"projects":[]}', 'application/json'],
    ['<title>Welcome</title><form>', 'text/html'],
  ])('is refused when it is none: %s', async (body, mediaType) => {
    await expect(parse(index, document, contentOf(body, mediaType))).rejects.toMatchObject({
      code: 'UPSTREAM_MALFORMED',
    });
  });

  it('of 700,000 names goes through in pieces', async () => {
    const content = json(Array.from({ length: 700_000 }, (_, index) => `project-${index}`));
    await parse(index, document, content);
    let size = 0;
    let largest = 0;
    for await (const piece of renderProjectList(requestFor({ ...document, variant: 'json' }, content), () => true)) {
      size += piece.length;
      largest = Math.max(largest, piece.length);
    }
    expect(size).toBeGreaterThan(15_000_000);
    expect(largest).toBeLessThan(256 * 1024);
  });
});

group('the legacy JSON', () => {
  const document = pypi.route(request('/pypi/demo/json')) as Resource;
  const release = (filename: string, day: number, more: object = {}): Record<string, unknown> => ({
    filename,
    url: `https://files.example.com/${filename}`,
    digests: { sha256: sha256(filename), md5: 'd41d8cd98f00b204e9800998ecf8427e' },
    upload_time_iso_8601: `2020-01-0${day}T00:00:00.000000Z`,
    requires_python: `>=3.${day}`,
    packagetype: 'sdist',
    yanked: false,
    ...more,
  });
  const value = {
    info: { name: 'Demo', version: '3.0', requires_dist: ['x'], description: 'd' },
    last_serial: 7,
    releases: {
      '1.0': [release('demo-1.0.tar.gz', 1)],
      '2.0': [release('demo-2.0.tar.gz', 2), release('demo-2.0-py3-none-any.whl', 3)],
      '2.5': [release('demo-2.5.tar.gz', 4, { yanked: true })],
      '0.1': [],
      '3.0': [release('demo-3.0.tar.gz', 5)],
    },
    urls: [release('demo-3.0.tar.gz', 5)],
    vulnerabilities: [{ id: 'X' }],
  };
  const content = contentOf(JSON.stringify(value), 'application/json', 100);

  async function render(admits?: RenderRequest['admits'], from = content): Promise<typeof value> {
    const found = await parse(project, document, from);
    return JSON.parse(await textOf(await renderProject(found, requestFor(document, from, admits)))) as typeof value;
  }

  const url = (filename: string): string =>
    `http://127.0.0.1:8080/pypi/files/demo/${sha256(filename).slice(0, 16)}/${filename}`;

  it('leads to our files, and is the same otherwise', async () => {
    const local = <T extends Record<string, unknown>>(files: readonly T[]): T[] =>
      files.map((file) => ({ ...file, url: url(String(file['filename'])) }));
    const releases = Object.entries(value.releases).map(([version, files]) => [version, local(files)]);
    expect(await render()).toEqual({ ...value, releases: Object.fromEntries(releases), urls: local(value.urls) });
  });

  it('leaves refused releases out', async () => {
    const rendered = await render(({ version }) => version !== '2.0');
    expect(Object.keys(rendered.releases).sort()).toEqual(['0.1', '1.0', '2.5', '3.0']);
    expect(rendered.urls).toHaveLength(1);
  });

  it('is about the newest release that is left when its own is refused', async () => {
    const rendered = await render(({ version }) => version !== '3.0');
    expect(rendered.info).toMatchObject({
      version: '2.0',
      requires_python: '>=3.2',
      requires_dist: null,
      description: 'd',
    });
    expect(rendered.urls.map((one) => one['filename'])).toEqual(['demo-2.0.tar.gz', 'demo-2.0-py3-none-any.whl']);
    expect(Object.keys(rendered.releases)).not.toContain('3.0');
  });

  it('is refused with a reason when nothing is left', async () => {
    await expect(render(() => false)).rejects.toMatchObject({ kind: 'policy-denied' });
  });

  it('is read once, for what it says and for what clients get', async () => {
    let readings = 0;
    const count = <Read extends (...given: never[]) => unknown>(read: Read): Read =>
      ((...given: never[]) => ((readings += 1), read(...given))) as Read;
    for (const size of [content.size, 2 * 1024 * 1024]) {
      const counted = { ...content, size, stream: count(content.stream), bytes: count(content.bytes) };
      readings = 0;
      expect(await render(undefined, counted)).toEqual(await render());
      expect(readings).toBe(1);
    }
  });

  it('has a list of files also when there is none', async () => {
    const bare = contentOf(JSON.stringify({ info: { name: 'demo', version: '0.1' }, urls: [] }), 'application/json');
    expect(await render(undefined, bare)).toEqual({ info: { name: 'demo', version: '0.1' }, urls: [] });
  });

  it.each(['{"info":{"name":"other"}}', '{"urls":[]}', '[]', '<html>'])(
    'is refused when it is none: %s',
    async (body) => {
      const reading = parse(project, document, contentOf(body, 'application/json'));
      await expect(reading).rejects.toMatchObject({ code: 'UPSTREAM_MALFORMED' });
    },
  );
});
