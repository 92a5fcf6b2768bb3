import { describe, expect, it } from 'vitest';
import type { Scanner, ScannerAnswer } from '@entrepot/core';
import { live, openScanner, record, scannerOf, temporaryFolder } from './fixtures.js';

const FROM_START = [{ introduced: '0' }];
const BULK = '/-/npm/v1/security/advisories/bulk';

async function ask(
  scanner: Scanner,
  path: string,
  body?: unknown,
): Promise<{ status: number; value: unknown } | undefined> {
  const method = body === undefined ? 'GET' : 'POST';
  const bytes = body === undefined ? undefined : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  const answer: ScannerAnswer | undefined = await scanner.answer?.({ method, path, body: bytes });
  if (answer === undefined) return undefined;
  expect(answer.mediaType).toBe('application/json');
  return { status: answer.status, value: JSON.parse(String(answer.body)) };
}

const tool = record('GHSA-aaaa-bbbb-cccc', 'npm', '@acme/tool', [{ introduced: '1.0.0' }, { fixed: '1.5.0' }], {
  aliases: ['CVE-2026-1'],
  summary: 'A fault',
  severity: [{ type: 'CVSS_V3', score: 'CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H' }],
  database_specific: { cwe_ids: ['CWE-79'], severity: 'CRITICAL' },
  references: [{ type: 'ADVISORY', url: 'https://advisories.example.com/1' }],
});
const cve = record('CVE-2026-1', 'npm', '@acme/tool', [{ introduced: '0' }, { last_affected: '0.5.0' }]);
const withdrawn = record('X-1', 'npm', '@acme/tool', FROM_START, { withdrawn: '2026-01-01T00:00:00Z' });
const malware = record('MAL-2026-1', 'npm', 'evil', FROM_START);
const debian = record('DSA-1', 'Debian:12', 'curl', [{ introduced: '0' }, { fixed: '7.88.1-10' }]);
const dumps = { npm: [tool, cve, withdrawn, malware], Debian: [debian] };

describe('the bulk audit of npm', () => {
  it('names advisories of the versions that are asked for, in the shape of npm', async () => {
    const { scanner } = await scannerOf(dumps);
    const asked = { '@acme/tool': ['1.2.0', '2.0.0'], evil: ['9.9.9'], clean: ['1.0.0'], '@acme/other': [] };
    expect(await ask(scanner, BULK, asked)).toEqual({
      status: 200,
      value: {
        '@acme/tool': [
          {
            id: expect.any(Number) as number,
            url: 'https://advisories.example.com/1',
            title: 'A fault',
            severity: 'critical',
            vulnerable_versions: '<=0.5.0 || >=1.0.0 <1.5.0',
            cwe: ['CWE-79'],
            cvss: { score: 9.8, vectorString: 'CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H' },
          },
        ],
        evil: [
          {
            id: expect.any(Number) as number,
            url: 'urn:osv:MAL-2026-1',
            title: 'MAL-2026-1',
            severity: 'critical',
            vulnerable_versions: '*',
            cwe: [],
            cvss: { score: 0, vectorString: null },
          },
        ],
      },
    });
    expect(await ask(scanner, BULK, { '@acme/tool': ['2.0.0'] })).toEqual({ status: 200, value: {} });
  });

  it.each(['', '[]', '{"a":1}', 'nonsense'])('refuses %j', async (body) => {
    const { scanner } = await scannerOf(dumps);
    expect((await ask(scanner, BULK, body))?.status).toBe(400);
  });
});

describe('the OSV API', () => {
  it('answers queries by name and by package URL with whole records', async () => {
    const { scanner } = await scannerOf(dumps);
    const byName = { package: { name: '@acme/tool', ecosystem: 'npm' }, version: '1.2.0' };
    const byUrl = { package: { purl: 'pkg:npm/%40acme/tool@1.2.0' } };
    for (const asked of [byName, byUrl])
      expect(await ask(scanner, '/v1/query', asked)).toEqual({ status: 200, value: { vulns: [tool] } });
    const all = await ask(scanner, '/v1/query', { package: { purl: 'pkg:npm/%40acme/tool' } });
    expect(all).toEqual({ status: 200, value: { vulns: [cve, tool] } });
    expect(await ask(scanner, '/v1/query', { ...byName, version: '3.0.0' })).toEqual({ status: 200, value: {} });
    const release = { package: { name: 'curl', ecosystem: 'Debian:12' }, version: '7.88.1-9' };
    expect(await ask(scanner, '/v1/query', release)).toEqual({ status: 200, value: { vulns: [debian] } });
    const distribution = { package: { purl: 'pkg:deb/debian/libcurl4@7.88.1-9?distro=debian-12&upstream=curl' } };
    expect(await ask(scanner, '/v1/query', distribution)).toEqual({ status: 200, value: { vulns: [debian] } });
  });

  it('answers batches with ids, in order', async () => {
    const { scanner } = await scannerOf(dumps);
    const queries = [
      { package: { purl: 'pkg:npm/clean@1.0.0' } },
      { package: { name: '@acme/tool', ecosystem: 'npm' }, version: '1.2.0' },
    ];
    expect(await ask(scanner, '/v1/querybatch', { queries })).toEqual({
      status: 200,
      value: { results: [{}, { vulns: [{ id: tool.id, modified: '2026-01-01T00:00:00Z' }] }] },
    });
    const many = Array.from({ length: 1001 }, () => queries[0]);
    expect((await ask(scanner, '/v1/querybatch', { queries: many }))?.status).toBe(400);
  });

  it('pages what is long', async () => {
    const many = Array.from({ length: 2500 }, (_, index) => record(`MAL-${10_000 + index}`, 'npm', 'tool', FROM_START));
    const { scanner } = await scannerOf({ npm: many });
    const found: string[] = [];
    let token: string | undefined;
    do {
      const asked = { package: { purl: 'pkg:npm/tool@1.0.0' }, page_token: token };
      const { vulns, next_page_token: next } = ((await ask(scanner, '/v1/query', asked)) as { value: unknown })
        .value as {
        vulns: { id: string }[];
        next_page_token?: string;
      };
      expect(vulns.length).toBeLessThanOrEqual(1000);
      found.push(...vulns.map(({ id }) => id));
      token = next;
    } while (token !== undefined);
    expect(found).toEqual(many.map(({ id }) => id));
  });

  it('bounds a batch as a whole, and goes on where it ended', async () => {
    const many = Array.from({ length: 430 }, (_, index) => record(`MAL-${10_000 + index}`, 'npm', 'tool', FROM_START));
    const { scanner } = await scannerOf({ npm: many });
    const asked = { package: { purl: 'pkg:npm/tool@1.0.0' } };
    const queries = Array.from({ length: 1000 }, () => asked);
    const { results } = ((await ask(scanner, '/v1/querybatch', { queries })) as { value: unknown }).value as {
      results: readonly { readonly vulns?: readonly unknown[]; readonly next_page_token?: string }[];
    };
    expect(results.flatMap(({ vulns = [] }) => vulns)).toHaveLength(3000);
    expect(results.slice(0, 6).map(({ vulns, next_page_token: next }) => [vulns?.length, next])).toEqual(
      Array.from({ length: 6 }, () => [430, undefined]),
    );
    expect(results[6]?.next_page_token).toBe('420');
    expect(results[7]).toEqual({ next_page_token: '0' });
    const rest = await ask(scanner, '/v1/querybatch', { queries: [{ ...asked, page_token: '420' }] });
    expect(rest?.value).toMatchObject({ results: [{ vulns: { length: 10 } }] });
  });

  it('ends a page of long records before it is too long', async () => {
    const details = 'x'.repeat(1024 * 1024);
    const many = Array.from({ length: 6 }, (_, index) =>
      record(`MAL-${index}`, 'npm', 'tool', FROM_START, { details }),
    );
    const { scanner } = await scannerOf({ npm: many });
    const page = await ask(scanner, '/v1/query', { package: { purl: 'pkg:npm/tool@1.0.0' } });
    expect(page?.value).toMatchObject({ vulns: { length: 4 }, next_page_token: '4' });
  });

  it('takes no more lists, versions and letters than it can read between two requests', async () => {
    const { scanner } = await scannerOf(dumps);
    expect((await ask(scanner, '/v1/query', `{"package":${'['.repeat(60_000)}`))?.status).toBe(400);
    const versions = Array.from({ length: 20_001 }, (_, index) => `1.0.${index}`);
    expect((await ask(scanner, BULK, { '@acme/tool': versions }))?.status).toBe(400);
  });

  it('gives records, withdrawn ones too', async () => {
    const { scanner } = await scannerOf(dumps);
    expect(await ask(scanner, '/v1/vulns/X-1')).toEqual({ status: 200, value: withdrawn });
    expect((await ask(scanner, '/v1/vulns/X-2'))?.status).toBe(404);
  });

  it.each<[string, unknown]>([
    ['a version in both places', { package: { purl: 'pkg:npm/tool@1.0.0' }, version: '1.0.0' }],
    ['a name beside a package URL', { package: { purl: 'pkg:npm/tool', name: 'tool' } }],
    ['no package URL', { package: { purl: 'npm/tool' } }],
    ['another spelling of an ecosystem', { package: { name: 'tool', ecosystem: 'NPM' } }],
    ['an ecosystem without a dump', { package: { purl: 'pkg:pypi/tool' } }],
    ['a commit', { commit: 'abc' }],
    ['nothing', {}],
    ['a bad token', { package: { purl: 'pkg:npm/tool' }, page_token: 'x' }],
  ])('refuses %s', async (_name, asked) => {
    const { scanner } = await scannerOf(dumps);
    expect((await ask(scanner, '/v1/query', asked))?.status).toBe(400);
  });

  it('knows no other path, and cannot answer without a database', async () => {
    const { scanner } = await scannerOf(dumps);
    expect(await ask(scanner, '/v1/other', {})).toBeUndefined();
    expect(await ask(scanner, '/v1/query')).toBeUndefined();
    const empty = await openScanner({ from: temporaryFolder(), directory: temporaryFolder() });
    const question = { method: 'POST', path: BULK, body: Buffer.from('{}') } as const;
    await expect(empty.scanner.answer?.(question)).rejects.toMatchObject({ kind: 'scan-unavailable' });
    await expect(empty.scanner.scan({ coordinates: { ecosystem: 'npm', name: 'x' } }, live())).rejects.toMatchObject({
      kind: 'scan-unavailable',
    });
  });
});
