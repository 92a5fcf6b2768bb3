import { expect, it } from 'vitest';
import type { Content, Parsed } from '@entrepot/core';
import { simple } from '../src/classes.js';
import { fileKey, METADATA_SUFFIX, derivedKey, provenanceKey, SIGNATURE_SUFFIXES } from '../src/keys.js';
import { PAGE_TABLE } from '../src/page-table.js';
import type { ProjectPage } from '../src/project-page.js';
import { renderPage } from '../src/representation.js';
import { contentOf, parsePage, pypi, requestFor, sha256, textOf } from './fixtures.js';

const context = { needs: new Set<never>(), headers: {} };

/** The page that answers from rows. */
async function tabled(content: Content): Promise<ProjectPage> {
  const resource = pypi.page('demo');
  const table = await PAGE_TABLE.maker.read(content, PAGE_TABLE.parameters(resource, context, pypi));
  return PAGE_TABLE.open(table, resource, pypi);
}

const file = (version: string, more: object = {}, ending = '-py3-none-any.whl'): object => ({
  filename: `demo-${version}${ending}`,
  url: `https://files.example.com/demo-${version}${ending}`,
  hashes: { sha256: sha256(version + ending) },
  'upload-time': `2024-05-${version.slice(-2)}T00:00:00Z`,
  ...more,
});
const provenance = 'https://index.example.com/integrity/demo';
const files = [
  file('1.10', { yanked: 'broken', 'gpg-sig': true }),
  file('1.11', { provenance, 'core-metadata': { sha256: sha256('metadata') } }),
  file('1.11', { provenance }, '.tar.gz'),
  file('1.11', { 'core-metadata': true, url: 'https://mirror.example.com/demo.whl' }),
  file('2.12', { size: 10, 'requires-python': '>=3.9', 'gpg-sig': false }),
  file('2.12', { hashes: { sha256: sha256('other') }, provenance }),
];
const page = (more: object = {}): Content =>
  contentOf(
    JSON.stringify({ meta: { 'api-version': '1.4' }, name: 'demo', versions: ['1.10', '1.11'], files, ...more }),
  );

it.each<[string, Content]>([
  ['in JSON', page()],
  ['of a project in quarantine', page({ 'project-status': { status: 'quarantined', reason: 'bad' } })],
  ['of an archived project', page({ 'project-status': { status: 'archived' } })],
  ['in HTML', contentOf('<a href="demo-1.0.tar.gz#sha256=00">x</a> <a href="demo-2.0.tar.gz">x</a>', 'text/html')],
  ['without files', page({ files: [] })],
])('a page %s is the same in a table as in memory', async (_, content) => {
  const [one, other] = [await parsePage(content), await tabled(content)];
  expect([...other.descriptions()]).toEqual([...one.descriptions()]);
  for (const [key, { file }] of one.files.all()) {
    const sidecars = [METADATA_SUFFIX, ...SIGNATURE_SUFFIXES].map((suffix) => fileKey('demo', file, suffix));
    for (const each of [key, ...sidecars, derivedKey(key), provenanceKey('demo', file), `${key}x`])
      expect(other.describe(each)).toEqual(one.describe(each));
  }
  expect([other.describe(''), other.describe('file/'), other.unlisted]).toEqual([undefined, undefined, one.unlisted]);
  for (const accept of [undefined, 'text/html']) {
    for (const refused of ['', '1.11', '2.12']) {
      const request = requestFor(pypi.page('demo', accept), content, ({ version }) => version !== refused);
      const [text, expected] = await Promise.all(
        [other, one].map((page) => textOf(renderPage(page, request, { provenanceUrl: pypi.provenanceUrl }))),
      );
      expect(text).toBe(expected);
    }
  }
});

it.each([
  ['another project', page({ name: 'else' }), 'it is the page of "else"'],
  ['no page', contentOf('{}'), 'it has no "meta"'],
])('refuses %s as a row, as in memory', async (_, content, message) => {
  const wanted = {
    kind: 'upstream-unavailable',
    code: 'UPSTREAM_MALFORMED',
    message: expect.stringContaining(message),
  };
  await expect(parsePage(content)).rejects.toMatchObject(wanted);
  await expect(tabled(content)).rejects.toMatchObject(wanted);
});

it('holds what a description takes of a page, not the page', async () => {
  const parsed: Parsed = await tabled(page());
  expect(parsed.weight).toBeLessThan(20_000);
  expect(simple.table).toBe(PAGE_TABLE);
});
