import type { IncomingMessage, ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import type { ScanReport, ScanSubject } from '@entrepot/core';
import { scannerSuite } from '@entrepot/core/testing';
import { bodyOf, idsOf, live, openScanner, record, type RecordFixture, serve } from './fixtures.js';

const FROM_START = [{ introduced: '0' }];

interface Query {
  readonly package?: { readonly purl?: string };
  readonly version?: string;
  readonly page_token?: string;
}

/** An OSV API over a few records: one a page, and before each page one that holds nothing but the token of the next. */
class FakeOsv {
  readonly asked: string[] = [];
  readonly records: RecordFixture[];
  paged = false;
  /** Answers every request instead. */
  trouble: ((reply: ServerResponse) => void) | undefined;
  #url: URL | undefined;

  constructor(records: RecordFixture[]) {
    this.records = records;
  }

  async scanner() {
    this.#url ??= await serve((request, reply) => void this.#answer(request, reply));
    return openScanner({ api: `${this.#url.href}base/` });
  }

  async #answer(request: IncomingMessage, reply: ServerResponse): Promise<void> {
    const path = request.url ?? '';
    this.asked.push(path);
    const body = await bodyOf(request);
    if (this.trouble !== undefined) return this.trouble(reply);
    const send = (status: number, value: unknown): void => {
      reply.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    };
    const id = /^\/base\/v1\/vulns\/(.+)$/.exec(path)?.[1];
    const found = this.records.find((each) => each.id === id);
    if (found !== undefined) return send(200, found);
    if (path === '/base/v1/query') return send(200, {});
    if (path !== '/base/v1/querybatch') return send(404, { code: 5 });
    const { queries } = JSON.parse(body) as { queries: Query[] };
    const isBad = ({ package: asked }: Query): boolean => !/^pkg:npm\/[^@]+$/.test(asked?.purl ?? '');
    if (queries.length > 1000 || queries.some(isBad)) return send(400, { code: 3, message: 'Invalid query.' });
    send(200, { results: queries.map((query) => this.#result(query)) });
  }

  #result({ package: asked, page_token: token = '0' }: Query): object {
    const name = decodeURIComponent(asked?.purl?.slice('pkg:npm/'.length) ?? '');
    const about = this.records.filter((each) => JSON.stringify(each['affected']).includes(`"${name}"`));
    const named = about.map(({ id, modified }) => ({ id, modified }));
    if (!this.paged) return named.length === 0 ? {} : { vulns: named };
    const page = Number(token);
    const next = page + 1 < named.length * 2 ? { next_page_token: String(page + 1) } : {};
    return page % 2 === 0 ? next : { vulns: named.slice((page - 1) / 2, (page + 1) / 2), ...next };
  }
}

function subject(name: string, version = '1.0.0', ecosystem = 'npm'): ScanSubject {
  return { coordinates: { ecosystem, name, version } };
}

const records = [
  record('GHSA-aaaa-bbbb-cccc', 'npm', '@acme/tool', [{ introduced: '0' }, { fixed: '1.5.0' }], {
    aliases: ['CVE-2026-1'],
    database_specific: { severity: 'HIGH' },
  }),
  record('CVE-2026-1', 'npm', '@acme/tool', FROM_START),
  record('MAL-2026-1', 'npm', '@acme/tool', FROM_START),
];

scannerSuite(
  { describe, it },
  async () => {
    const api = new FakeOsv(records);
    const { scanner } = await api.scanner();
    const breakDown = (): void => {
      api.trouble = (reply) => void reply.writeHead(503).end();
    };
    return { scanner, clean: subject('good'), vulnerable: subject('@acme/tool'), findingId: 'CVE-2026-1', breakDown };
  },
  { outage: true, batch: true },
);

describe('by API', () => {
  it.each([false, true])('groups what is named, over all pages (paged: %s)', async (paged) => {
    const api = new FakeOsv(records);
    api.paged = paged;
    const { scanner } = await api.scanner();
    await scanner.check();

    const report = await scanner.scan(subject('@acme/tool'), live());

    expect(report).toMatchObject({ scanner: 'osv', revision: scanner.revision(), coverage: 'full' });
    expect(report.findings).toMatchObject([
      { id: 'GHSA-aaaa-bbbb-cccc', aliases: ['CVE-2026-1'], severity: 'high', fixedIn: ['1.5.0'] },
      { id: 'MAL-2026-1', malicious: true },
    ]);
    expect(scanner.lookup).toBeUndefined();
  });

  it('keeps records until they change', async () => {
    const api = new FakeOsv([...records]);
    const { scanner } = await api.scanner();
    await scanner.scan(subject('@acme/tool'), live());
    api.asked.length = 0;
    await scanner.scan(subject('@acme/tool'), live());
    expect(api.asked).toEqual(['/base/v1/querybatch']);
    api.records[2] = record('MAL-2026-1', 'npm', '@acme/tool', FROM_START, {
      modified: '2026-09-09T00:00:00Z',
      summary: 'new',
    });
    const report = await scanner.scan(subject('@acme/tool'), live());
    expect(report.findings).toMatchObject([{}, { title: 'new' }]);
  });

  it('judges several at once, and the others when one is refused', async () => {
    const api = new FakeOsv(records);
    const { scanner } = await api.scanner();
    const many = Array.from({ length: 1500 }, (_, index) => subject(`clean-${index}`));
    const subjects = [subject('@acme/tool'), subject('x', '1', 'no-such'), ...many, subject('bad', '1', 'pypi')];

    const reports = (await scanner.scanAll?.(subjects, live())) as readonly (ScanReport | Error)[];

    expect(reports).toHaveLength(subjects.length);
    expect(idsOf((reports[0] as ScanReport).findings)).toHaveLength(2);
    expect(reports[1]).toMatchObject({ kind: 'scan-unavailable', code: 'SCAN_UNSUPPORTED' });
    expect(reports.slice(2, -1).every((report) => !(report instanceof Error) && report.findings.length === 0)).toBe(
      true,
    );
    expect(reports.at(-1)).toMatchObject({ kind: 'scan-unavailable' });
  });

  it.each<[string, (reply: ServerResponse) => void]>([
    ['429', (reply) => void reply.writeHead(429, { 'retry-after': '30' }).end()],
    ['500', (reply) => void reply.writeHead(500).end('oops')],
    ['no JSON', (reply) => void reply.end('<html>')],
    ['other JSON', (reply) => void reply.end('{"results":[]}')],
    ['a page for ever', (reply) => void reply.end('{"results":[{"next_page_token":"1"}]}')],
    ['nothing', () => {}],
    ['a broken connection', (reply) => void reply.destroy()],
  ])('calls %s an inability', async (name, trouble) => {
    const api = new FakeOsv(records);
    api.trouble = trouble;
    const { scanner } = await api.scanner();
    const scanning = scanner.scan(subject('@acme/tool'), live());
    await expect(scanning).rejects.toMatchObject({
      kind: 'scan-unavailable',
      ...(name === '429' ? { retryAfter: 30 } : {}),
    });
  });

  it('asks again on another day', async () => {
    const { scanner, clock } = await new FakeOsv(records).scanner();
    const revision = scanner.revision();
    expect(await scanner.update?.(live())).toEqual([]);
    clock.advance(86_400_000);
    expect(scanner.revision()).toBe(revision);
    expect(await scanner.update?.(live())).toBeUndefined();
    expect(scanner.revision()).not.toBe(revision);
  });
});
