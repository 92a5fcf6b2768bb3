import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { packageUrl } from '@entrepot/core';
import {
  dump,
  idsOf,
  live,
  openScanner,
  record,
  type RecordFixture,
  scannerOf,
  serve,
  temporaryFolder,
  writeDumps,
} from './fixtures.js';

const FROM_START = [{ introduced: '0' }];
const tool = { ecosystem: 'npm', name: 'tool', version: '1.0.0' };

/** A mirror of dumps whose content a test changes. */
class Mirror {
  readonly asked: string[] = [];
  readonly records = new Map<string, RecordFixture[]>();
  /** Paths that are answered with a status instead. */
  readonly broken = new Map<string, number>();
  /** Sends half of what is at this path. */
  cut: string | undefined;
  url = new URL('http://localhost');

  async start(): Promise<this> {
    this.url = await serve((request, reply) => {
      const path = decodeURIComponent((request.url ?? '').slice(1));
      this.asked.push(path);
      const status = this.broken.get(path);
      const body = this.#body(path);
      if (status !== undefined || body === undefined) return void reply.writeHead(status ?? 404).end();
      reply.setHeader('content-length', body.length);
      if (path !== this.cut) return void reply.end(body);
      reply.write(body.subarray(0, body.length / 2), () => reply.destroy());
    });
    return this;
  }

  set(ecosystem: string, records: readonly RecordFixture[]): void {
    this.records.set(ecosystem, [...records]);
  }

  #body(path: string): Buffer | undefined {
    if (path === 'ecosystems.txt')
      return Buffer.from(`${[...this.records.keys()].join('\n')}\nUnheard of\nDebian:12\n`);
    const [ecosystem = '', file = ''] = path.split('/');
    const records = this.records.get(ecosystem);
    if (records === undefined) return undefined;
    if (file === 'all.zip') return dump(records);
    if (file === 'modified_id.csv') {
      const lines = records.map(({ id, modified }) => `${String(modified)},${id}`);
      return Buffer.from(`${lines.sort().reverse().join('\n')}\n`);
    }
    const found = records.find(({ id }) => file === `${id}.json`);
    return found === undefined ? undefined : Buffer.from(JSON.stringify(found));
  }
}

async function mirrored(records: readonly RecordFixture[], options: object = {}) {
  const mirror = await new Mirror().start();
  mirror.set('npm', records);
  const directory = join(temporaryFolder(), 'database');
  const open = await openScanner({ from: mirror.url.href, directory, ...options });
  return { mirror, directory, ...open };
}

describe('updates from a mirror', () => {
  it('takes everything at first, then what changed, and says whose findings differ', async () => {
    const { mirror, scanner } = await mirrored([
      record('X-1', 'npm', 'tool', FROM_START),
      record('X-2', 'npm', 'other', FROM_START),
    ]);
    await expect(scanner.check()).rejects.toMatchObject({ kind: 'scan-unavailable' });
    expect(scanner.lookup?.(tool)).toBeUndefined();

    expect(await scanner.update?.(live())).toBeUndefined();
    await scanner.check();
    const first = scanner.revision();
    expect(mirror.asked).toContain('npm/all.zip');

    mirror.asked.length = 0;
    expect(await scanner.update?.(live())).toEqual([]);
    expect(scanner.revision()).toBe(first);
    expect(mirror.asked).toEqual(['ecosystems.txt', 'npm/modified_id.csv']);

    mirror.set('npm', [
      record('X-1', 'npm', 'tool', [{ introduced: '2.0.0' }], { modified: '2026-02-01T00:00:00Z' }),
      record('X-2', 'npm', 'other', FROM_START),
      record('X-3', 'npm', '@acme/new', FROM_START, { modified: '2026-02-01T00:00:01Z', aliases: ['X-2'] }),
    ]);
    const changed = await scanner.update?.(live());
    // `other` too: its record has another alias now.
    expect(changed?.map(packageUrl).sort()).toEqual(['pkg:npm/%40acme/new', 'pkg:npm/other', 'pkg:npm/tool']);
    expect(scanner.revision()).not.toBe(first);
    expect(mirror.asked).not.toContain('npm/all.zip');
    expect(scanner.lookup?.(tool)).toEqual([]);
    expect(scanner.lookup?.({ ...tool, name: 'other' })).toMatchObject([{ id: 'X-2', aliases: ['X-3'] }]);
  });

  it('gives by changes what it gives from the beginning', async () => {
    const before = [
      record('X-1', 'npm', 'one', FROM_START, { aliases: ['CVE-1'] }),
      record('X-2', 'npm', 'two', FROM_START, { aliases: ['CVE-1', 'CVE-2'] }),
      record('X-3', 'npm', 'three', FROM_START, { aliases: ['CVE-2'], database_specific: { severity: 'CRITICAL' } }),
      record('X-4', 'npm', 'one', FROM_START),
    ];
    const later = { modified: '2026-03-01T00:00:00Z' };
    const after = [
      record('X-1', 'npm', 'one', [{ introduced: '0' }, { fixed: '2.0.0' }], { aliases: ['CVE-1'], ...later }),
      record('X-2', 'npm', 'two', FROM_START, { aliases: ['CVE-1'], ...later }),
      before[2] as RecordFixture,
      record('X-4', 'npm', 'four', FROM_START, { withdrawn: '2026-03-01T00:00:00Z', ...later }),
      record('X-5', 'npm', 'five', FROM_START, { aliases: ['X-3'], ...later }),
    ];
    const { mirror, scanner, clock } = await mirrored(before);
    await scanner.update?.(live());
    mirror.set('npm', after);
    const changed = await scanner.update?.(live());
    const fresh = await mirrored(after);
    await fresh.scanner.update?.(live());

    for (const name of ['one', 'two', 'three', 'four', 'five']) {
      const coordinates = { ecosystem: 'npm', name, version: '1.0.0' };
      expect(scanner.lookup?.(coordinates), name).toEqual(fresh.scanner.lookup?.(coordinates));
    }
    expect(changed?.map(({ name }) => name).sort()).toEqual(['five', 'one', 'three', 'two']);
    expect(scanner.revision()).toBe(fresh.scanner.revision());
    clock.advance(8 * 86_400_000);
    expect(await scanner.update?.(live())).toEqual([]);
    expect(scanner.revision()).toBe(fresh.scanner.revision());
    expect(scanner.lookup?.({ ecosystem: 'npm', name: 'five', version: '1.0.0' })).toMatchObject([
      { severity: 'critical' },
    ]);
  });

  it('finds what was deleted when everything is imported again', async () => {
    const { mirror, scanner, clock } = await mirrored([
      record('X-1', 'npm', 'tool', FROM_START),
      record('X-2', 'npm', 'other', FROM_START),
    ]);
    await scanner.update?.(live());
    mirror.set('npm', [record('X-2', 'npm', 'other', FROM_START)]);
    expect(await scanner.update?.(live())).toEqual([]);
    expect(idsOf(scanner.lookup?.(tool))).toEqual(['X-1']);

    clock.advance(7 * 86_400_000);
    expect((await scanner.update?.(live()))?.map(packageUrl)).toEqual(['pkg:npm/tool']);
    expect(scanner.lookup?.(tool)).toEqual([]);
  });

  it.each(['npm/modified_id.csv', 'npm/X-3.json'])('keeps what it has when %s cannot be had', async (path) => {
    const { mirror, scanner, directory } = await mirrored([record('X-1', 'npm', 'tool', FROM_START)]);
    await scanner.update?.(live());
    const revision = scanner.revision();
    mirror.set('npm', [record('X-3', 'npm', 'tool', FROM_START, { modified: '2026-02-01T00:00:00Z' })]);
    mirror.broken.set(path, 503);

    await expect(scanner.update?.(live())).rejects.toMatchObject({ kind: 'upstream-unavailable' });

    expect(scanner.revision()).toBe(revision);
    expect(idsOf(scanner.lookup?.(tool))).toEqual(['X-1']);
    expect(readdirSync(directory).filter((name) => name.startsWith('staging'))).toEqual([]);
    mirror.broken.clear();
    await scanner.update?.(live());
    expect(idsOf(scanner.lookup?.(tool))).toEqual(['X-1', 'X-3']);
  });

  it('keeps what it has when a dump breaks off or is none', async () => {
    const { mirror, scanner, clock, directory } = await mirrored([record('X-1', 'npm', 'tool', FROM_START)]);
    await scanner.update?.(live());
    const files = readdirSync(directory).sort();
    clock.advance(8 * 86_400_000);
    mirror.cut = 'npm/all.zip';
    await expect(scanner.update?.(live())).rejects.toMatchObject({ kind: 'upstream-unavailable' });
    expect(idsOf(scanner.lookup?.(tool))).toEqual(['X-1']);
    expect(readdirSync(directory).sort()).toEqual(files);
  });

  it('goes on with its database after a restart, and takes over what another process brought', async () => {
    const { mirror, scanner, directory } = await mirrored([record('X-1', 'npm', 'tool', FROM_START)]);
    await scanner.update?.(live());
    const other = await openScanner({ from: mirror.url.href, directory });
    expect(idsOf(other.scanner.lookup?.(tool))).toEqual(['X-1']);
    expect(other.scanner.revision()).toBe(scanner.revision());

    mirror.set('npm', [record('X-1', 'npm', 'tool', [{ introduced: '9.0.0' }], { modified: '2026-02-01T00:00:00Z' })]);
    await scanner.update?.(live());
    expect(idsOf(other.scanner.lookup?.(tool))).toEqual(['X-1']);
    expect(await other.scanner.update?.(live())).toBeUndefined();
    expect(other.scanner.lookup?.(tool)).toEqual([]);
  });

  it('takes the ecosystems of the list that it knows, or those that are wanted', async () => {
    const { mirror, scanner } = await mirrored([record('X-1', 'npm', 'tool', FROM_START)], { ecosystems: ['npm'] });
    mirror.set('PyPI', [record('X-2', 'PyPI', 'tool', FROM_START)]);
    await scanner.update?.(live());
    expect(scanner.subjects.ecosystems).toEqual(['npm']);
    expect(mirror.asked).not.toContain('ecosystems.txt');
    const all = await openScanner({ from: mirror.url.href, directory: temporaryFolder() });
    await all.scanner.update?.(live());
    expect([...all.scanner.subjects.ecosystems].sort()).toEqual(['npm', 'pypi']);
  });
});

describe('before there is a database', () => {
  it('has a say in what its database will be about, and cannot judge it yet', async () => {
    const options = { from: temporaryFolder(), directory: temporaryFolder() };
    const all = await openScanner(options);
    expect(all.scanner.subjects.ecosystems).toEqual(expect.arrayContaining(['npm', 'pypi', 'golang']));
    expect(all.scanner.lookup?.(tool)).toBeUndefined();
    const some = await openScanner({ ...options, directory: temporaryFolder(), ecosystems: ['Go', 'Debian'] });
    expect(some.scanner.subjects.ecosystems).toEqual(['golang', 'deb']);
    await expect(some.scanner.scan({ coordinates: tool }, live())).rejects.toMatchObject({ code: 'SCAN_DATABASE' });
  });
});

describe('updates from a folder', () => {
  it('imports when a file changes, and says whose findings differ', async () => {
    const { scanner, from } = await scannerOf({
      npm: [record('X-1', 'npm', 'tool', FROM_START), record('X-2', 'npm', 'b', FROM_START)],
    });
    expect(await scanner.update?.(live())).toEqual([]);
    writeDumps(from, { npm: [record('X-2', 'npm', 'b', FROM_START), record('X-3', 'npm', 'c', FROM_START)] });
    expect((await scanner.update?.(live()))?.map(packageUrl).sort()).toEqual(['pkg:npm/c', 'pkg:npm/tool']);
  });

  it('takes single records, and archives that are named after an ecosystem', async () => {
    const from = temporaryFolder();
    writeFileSync(join(from, 'X-1.json'), JSON.stringify(record('X-1', 'npm', 'tool', FROM_START)));
    writeFileSync(join(from, 'PyPI.zip'), dump([record('X-2', 'PyPI', 'tool', FROM_START)]));
    const { scanner } = await openScanner({ from, directory: temporaryFolder() });
    await scanner.update?.(live());
    expect([...scanner.subjects.ecosystems].sort()).toEqual(['npm', 'pypi']);
    expect(idsOf(scanner.lookup?.(tool))).toEqual(['X-1']);
  });

  it('refuses what is no archive and keeps what it has', async () => {
    const { scanner, from, directory } = await scannerOf({ npm: [record('X-1', 'npm', 'tool', FROM_START)] });
    const files = readdirSync(directory).sort();
    const broken = dump([record('X-2', 'npm', 'tool', FROM_START)]);
    broken[60] = (broken[60] as number) ^ 0xff;
    for (const bytes of [Buffer.from('no archive'), broken]) {
      writeFileSync(join(from, 'npm', 'all.zip'), bytes);
      await expect(scanner.update?.(live())).rejects.toMatchObject({ kind: 'scan-unavailable' });
      expect(idsOf(scanner.lookup?.(tool))).toEqual(['X-1']);
      expect(readdirSync(directory).sort()).toEqual(files);
    }
    rmSync(from, { recursive: true });
    await expect(scanner.update?.(live())).rejects.toThrow(/expected a folder with OSV dumps/);
    expect(existsSync(directory)).toBe(true);
  });

  it('adds what is known of exploitation', async () => {
    const lists = temporaryFolder();
    const kev = join(lists, 'kev.json');
    const epss = join(lists, 'epss.csv.gz');
    writeFileSync(kev, JSON.stringify({ vulnerabilities: [{ cveID: 'CVE-2026-0001' }, { cveID: 'nonsense' }, null] }));
    writeFileSync(
      epss,
      gzipSync(
        '#model_version:v1,score_date:2026-01-01\ncve,epss,percentile\nCVE-2025-9,0.1,0.2\nCVE-2026-0001,0.97,0.99\n',
      ),
    );
    const one = record('GHSA-aaaa-bbbb-cccc', 'npm', 'tool', FROM_START, { aliases: ['CVE-2026-0001'] });
    const { scanner } = await scannerOf({ npm: [one, record('X-2', 'npm', 'other', FROM_START)] }, { kev, epss });

    expect(scanner.lookup?.(tool)).toMatchObject([{ exploited: true, epss: 0.97 }]);
    expect(scanner.lookup?.({ ...tool, name: 'other' })?.[0]).not.toHaveProperty('epss', expect.anything());
    const revision = scanner.revision();
    expect(await scanner.update?.(live())).toEqual([]);
    writeFileSync(kev, '{"vulnerabilities":[]}');
    expect(await scanner.update?.(live())).toBeUndefined();
    expect(scanner.revision()).not.toBe(revision);
    expect(scanner.lookup?.(tool)?.[0]?.exploited).toBeUndefined();
    writeFileSync(kev, 'nonsense!');
    await expect(scanner.update?.(live())).rejects.toMatchObject({ kind: 'scan-unavailable' });
    expect(scanner.lookup?.(tool)).toHaveLength(1);
  });
});

describe('options', () => {
  it.each([
    [{}],
    [{ from: 'x', api: 'https://osv.example.com' }],
    [{ api: 'ftp://osv.example.com' }],
    [{ from: 'x', ecosystems: ['NPM'] }],
    [{ from: 'x', ecosystems: ['Debian:12'] }],
    [{ from: 'x', ecosystems: [] }],
    [{ api: 'https://osv.example.com', ecosystems: ['npm'] }],
    [{ from: 'x', fullImportEvery: 'often' }],
    [{ from: 'x', url: 'y' }],
  ])('refuse %j', async (options) => {
    await expect(openScanner(options)).rejects.toThrow(/expected|Unrecognized|Too small/);
  });

  it('name a folder that can be made', async () => {
    const file = join(temporaryFolder(), 'file');
    writeFileSync(file, '');
    await expect(openScanner({ from: temporaryFolder(), directory: join(file, 'database') })).rejects.toMatchObject({
      kind: 'configuration',
    });
  });

  it('leave the date of the source to be seen', async () => {
    const { scanner } = await mirrored([
      record('X-1', 'npm', 'tool', FROM_START, { modified: '2026-05-06T07:08:09Z' }),
    ]);
    expect(scanner.databaseDate?.()).toBeUndefined();
    await scanner.update?.(live());
    expect(scanner.databaseDate?.()).toBe(Date.UTC(2026, 4, 6, 7, 8, 9));
  });
});
