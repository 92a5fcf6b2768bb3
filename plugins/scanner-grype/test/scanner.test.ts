import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import type { Content, Digest, Scanner, ScanReport, ScanSubject } from '@entrepot/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DAY, ended, FakeGrype, NOW, npm, type Behaviour } from './fixtures.js';

let fake: FakeGrype;
let scanner: Scanner;

beforeEach(async () => {
  fake = await FakeGrype.create();
  fake.advise('pkg:npm/vulnerable@1.0.0', 'CVE-2026-0001');
  scanner = await fake.scanner();
});

afterEach(async () => {
  await scanner.dispose?.();
  await fake.remove();
});

const live = (): AbortSignal => new AbortController().signal;

describe('a report of Grype', () => {
  it('says what is exploited, and how likely', async () => {
    const report = await scanner.scan(npm('vulnerable'), live());

    expect(report).toMatchObject({ scanner: 'grype', revision: `v6.1.0@${new Date(NOW - DAY).toISOString()}` });
    expect(report.findings).toEqual([
      {
        id: 'GHSA-2026-0001',
        aliases: ['CVE-2026-0001'],
        severity: 'high',
        cvss: 8.7,
        malicious: false,
        exploited: true,
        epss: 0.42,
        fixedIn: ['2.0.0'],
        confidence: 'exact',
        title: 'A fault',
        url: 'https://advisories.example.com/CVE-2026-0001',
        source: 'github:language:javascript',
      },
    ]);
  });

  it('says what is a guess', async () => {
    fake.behave('cpe');

    await expect(scanner.scan(npm('vulnerable'), live())).resolves.toMatchObject({ findings: [{ confidence: 'cpe' }] });
  });

  it.each<[Behaviour, string]>([
    ['unlisted', 'SCAN_UNSUPPORTED'],
    ['exit', 'SCAN_FAILED'],
    ['garbage', 'SCAN_FAILED'],
    ['flood', 'SCAN_FAILED'],
    ['stale', 'SCAN_STALE'],
  ])('%s is never clean', async (behaviour, code) => {
    fake.behave(behaviour);

    await expect(scanner.scan(npm('clean'), live())).rejects.toMatchObject({ kind: 'scan-unavailable', code });
  });
});

describe('a run', () => {
  it('judges many, in an empty folder and with settings of ours alone', async () => {
    const before = process.env.GRYPE_CONFIG;
    process.env.GRYPE_CONFIG = '/x';
    const subjects = [npm('a'), npm('vulnerable'), npm('@scope/b')];
    let reports: readonly (ScanReport | Error)[] | undefined;
    try {
      reports = await scanner.scanAll?.(subjects, live());
    } finally {
      if (before === undefined) delete process.env.GRYPE_CONFIG;
      else process.env.GRYPE_CONFIG = before;
    }

    expect(reports?.map((report) => (report as ScanReport).findings.length)).toEqual([0, 1, 0]);
    const [scan, ...others] = fake.scans();
    expect(others).toEqual([]);
    expect(scan?.beside).toEqual([]);
    expect(scan?.environment).toMatchObject({ GRYPE_DB_AUTO_UPDATE: 'false', GRYPE_DB_CACHE_DIR: fake.database });
    expect(scan?.environment).not.toHaveProperty('GRYPE_CONFIG');
  });

  it.each(['hang', 'fork'] as const)('that does not end (%s) is ended as a group', async (behaviour) => {
    fake.behave(behaviour);
    const abort = new AbortController();

    const scanning = scanner.scan(npm('clean'), abort.signal);
    const pid = await fake.started();
    abort.abort();

    await expect(scanning).rejects.toMatchObject({ code: 'SCAN_INTERRUPTED' });
    await ended([pid, ...fake.children()]);
    expect(fake.children()).toHaveLength(behaviour === 'fork' ? 1 : 0);
  });

  it('names the distribution of a package, and leaves out those of others', async () => {
    const deb: ScanSubject = {
      coordinates: { ecosystem: 'deb', name: 'libssl3', version: '3.0.11-1' },
      qualifiers: { distro: 'debian-12', upstream: 'openssl' },
    };
    fake.advise('pkg:deb/debian/libssl3@3.0.11-1?distro=debian-12&upstream=openssl', 'CVE-2026-2');

    const found = await scanner.scanAll?.([deb, { ...deb, qualifiers: { distro: 'gentoo-2' } }], live());

    expect(found).toMatchObject([{ findings: [{ aliases: ['CVE-2026-2'] }] }, { code: 'SCAN_UNSUPPORTED' }]);
  });
});

describe('an image', () => {
  it('is judged with its layers', async () => {
    const part = (value: object, mediaType: string) => {
      const bytes = Buffer.from(JSON.stringify(value));
      const digest: Digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
      const content: Content = {
        size: bytes.length,
        mediaType,
        async *stream() {
          yield bytes;
        },
        bytes: async () => bytes,
      };
      return { digest, content, descriptor: { mediaType, digest, size: bytes.length } };
    };
    const found = { type: 'library', name: 'vulnerable', version: '1.0.0', purl: 'pkg:npm/vulnerable@1.0.0' };
    const config = part({ os: 'linux' }, 'application/vnd.oci.image.config.v1+json');
    const layer = part([found], 'application/vnd.oci.image.layer.v1.tar+gzip');
    const mediaType = 'application/vnd.oci.image.manifest.v1+json';
    const manifest = part({ mediaType, config: config.descriptor, layers: [layer.descriptor] }, mediaType);

    const report = await scanner.scan(
      {
        coordinates: { ecosystem: 'oci', name: 'demo', version: manifest.digest },
        digest: manifest.digest,
        content: manifest.content,
        part: async (digest) => [config, layer].find((each) => each.digest === digest)?.content,
      },
      live(),
    );

    expect(report).toMatchObject({ coverage: 'full', findings: [{ component: 'pkg:npm/vulnerable@1.0.0' }] });
  });
});

describe('a database', () => {
  it('is asked for once, and again when it is another', async () => {
    await scanner.check();
    await scanner.scan(npm('clean'), live());
    const before = scanner.revision();
    await fake.writeDatabase(NOW);
    await scanner.check();

    expect(fake.calls().filter(({ args }) => args[1] === 'status')).toHaveLength(2);
    expect(scanner.revision()).not.toBe(before);
  });

  it('that is too old says nothing', async () => {
    await fake.writeDatabase(NOW - 6 * DAY);

    await expect(scanner.scan(npm('clean'), live())).rejects.toMatchObject({ code: 'SCAN_STALE' });
    await expect(scanner.check()).rejects.toMatchObject({ code: 'SCAN_STALE' });
  });

  it('that is broken says nothing', async () => {
    fake.behave('invalid');
    await fake.writeDatabase(NOW);

    await expect(scanner.check()).rejects.toMatchObject({ kind: 'scan-unavailable' });
  });

  it('is downloaded when there is a newer one, from where it is said', async () => {
    const from = await fake.scanner({ databaseUrl: 'https://packages.example.com/grype/latest.json' });
    await expect(from.update?.(live())).resolves.toEqual([]);
    fake.behave('good', { newest: NOW });

    await expect(from.update?.(live())).resolves.toBeUndefined();

    expect(from.databaseDate?.()).toBe(NOW);
    const updates = fake.calls().filter(({ args }) => ['check', 'update'].includes(args[1] as string));
    expect(updates.map(({ args }) => args[1])).toEqual(['check', 'check', 'update']);
    for (const { environment } of updates) {
      expect(environment.GRYPE_DB_UPDATE_URL).toBe('https://packages.example.com/grype/latest.json');
    }
  });

  it('stays when a download fails', async () => {
    fake.behave('exit', { newest: NOW });

    await expect(scanner.update?.(live())).rejects.toMatchObject({ code: 'SCAN_FAILED' });

    expect(scanner.databaseDate?.()).toBe(NOW - DAY);
  });

  it('that is gone, like the program, is an error of the health check', async () => {
    await rm(fake.command);

    await expect(scanner.check()).rejects.toMatchObject({ code: 'SCAN_UNAVAILABLE' });
  });
});

describe('options', () => {
  it.each([{ maxAge: 'soon' }, { databaseUrl: 'latest.json' }, { nonsense: true }])('refuse %j', async (options) => {
    await expect(fake.scanner(options)).rejects.toThrow(Object.keys(options)[0]);
  });
});
