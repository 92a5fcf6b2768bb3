import { createHash } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Content, Digest, Scanner, ScanReport, ScanSubject } from '@entrepot/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DAY, ended, FakeTrivy, NEW_FLAGS, NOW, npm, OLD_FLAGS, type Behaviour } from './fixtures.js';

let fake: FakeTrivy;
let scanner: Scanner;

beforeEach(async () => {
  fake = await FakeTrivy.create();
  fake.advise('pkg:npm/vulnerable@1.0.0', 'CVE-2026-0001');
  scanner = await fake.scanner();
});

afterEach(async () => {
  await scanner.dispose?.();
  await fake.remove();
});

const live = (): AbortSignal => new AbortController().signal;

describe('a report of Trivy', () => {
  it.each([
    ['good', NEW_FLAGS],
    ['old', OLD_FLAGS],
  ] as const)('is read from a %s build', async (behaviour, flags) => {
    fake.behave(behaviour, { flags });
    scanner = await fake.scanner();

    const report = await scanner.scan(npm('vulnerable'), live());

    expect(report).toMatchObject({ scanner: 'trivy', revision: scanner.revision(), scannedAt: NOW, coverage: 'full' });
    expect(report.findings).toMatchObject([
      {
        id: 'CVE-2026-0001',
        aliases: ['GHSA-2026-0001'],
        severity: 'high',
        cvss: 7.5,
        fixedIn: ['2.0.0', '3.0.0'],
        source: 'Advisories',
        title: 'A fault',
        publishedAt: Date.parse('2026-01-02T03:04:05Z'),
      },
    ]);
  });

  it.each<[Behaviour, string]>([
    ['empty', 'SCAN_UNSUPPORTED'],
    ['no-results', 'SCAN_UNSUPPORTED'],
    ['exit', 'SCAN_FAILED'],
    ['garbage', 'SCAN_FAILED'],
    ['flood', 'SCAN_FAILED'],
    ['strange-finding', 'SCAN_FAILED'],
  ])('%s is never clean', async (behaviour, code) => {
    fake.behave(behaviour);

    await expect(scanner.scan(npm('clean'), live())).rejects.toMatchObject({ kind: 'scan-unavailable', code });
  });

  it('keeps what the program complains of out of the message', async () => {
    fake.behave('exit');

    const error = await scanner.scan(npm('clean'), live()).catch((thrown: Error) => thrown);

    expect((error as Error).message).not.toContain('FATAL');
    expect(String(((error as Error).cause as Error).message)).toContain('FATAL something is wrong');
  });
});

describe('subjects', () => {
  it('are judged together', async () => {
    const subjects = Array.from({ length: 40 }, (_, at) => npm(at === 7 ? 'vulnerable' : `clean-${at}`));

    const reports = (await scanner.scanAll?.(subjects, live())) as readonly ScanReport[];

    expect(fake.calls()).toHaveLength(1);
    expect(reports.map(({ findings }) => findings.length)).toEqual(subjects.map((_, at) => (at === 7 ? 1 : 0)));
  });

  it('fail alone when the program stumbles over one of them', async () => {
    fake.behave('stumble');
    const subjects = ['a', 'b', 'stumbling-block', 'vulnerable', 'c'].map((name) => npm(name));

    const results = (await scanner.scanAll?.(subjects, live())) as readonly (ScanReport | Error)[];

    expect(results.map((result) => (result instanceof Error ? 'error' : result.findings.length))).toEqual([
      0,
      0,
      'error',
      1,
      0,
    ]);
  });

  it('of a distribution are listed with it, and are not judged without', async () => {
    const qualifiers = { distro: 'debian-12', upstream: 'openssl@3.0.11-1', arch: 'amd64' };
    const deb: ScanSubject = { coordinates: { ecosystem: 'deb', name: 'libssl3', version: '3.0.11-1+b1' }, qualifiers };
    fake.advise(
      'pkg:deb/debian/libssl3@3.0.11-1%2Bb1?arch=amd64&distro=debian-12&upstream=openssl%403.0.11-1',
      'CVE-2026-2',
    );
    const unknown = { ...deb, qualifiers: { distro: 'fedora-43' } };
    const { qualifiers: _, ...bare } = deb;

    const results = await scanner.scanAll?.([deb, unknown, bare], live());

    expect(results).toMatchObject([
      { findings: [{ id: 'CVE-2026-2' }] },
      { code: 'SCAN_UNSUPPORTED' },
      { code: 'SCAN_UNSUPPORTED' },
    ]);
  });

  it.each(['conda', 'generic'])('of the type %s are listed by Trivy, but never judged', async (ecosystem) => {
    const subject = { coordinates: { ecosystem, name: 'a', version: '1' } };

    await expect(scanner.scan(subject, live())).rejects.toMatchObject({ code: 'SCAN_UNSUPPORTED' });
  });
});

describe('a run', () => {
  it('has an empty folder and nothing of the environment', async () => {
    const before = { ...process.env };
    Object.assign(process.env, { TRIVY_IGNOREFILE: '/x', GRYPE_CONFIG: '/x', HTTPS_PROXY: 'http://127.0.0.1:1' });
    try {
      await scanner.scan(npm('vulnerable'), live());
    } finally {
      for (const name of ['TRIVY_IGNOREFILE', 'GRYPE_CONFIG', 'HTTPS_PROXY']) {
        if (before[name] === undefined) delete process.env[name];
        else process.env[name] = before[name];
      }
    }

    const [call] = fake.calls();
    expect(call?.beside).toEqual([]);
    expect(Object.keys(call?.environment ?? {}).sort()).toEqual(['HOME', 'LC_ALL', 'PATH', 'TMPDIR']);
    expect(call?.args).toEqual(expect.arrayContaining(['--config', '--ignorefile', '--list-all-pkgs']));
  });

  it('is refused where what is scanned could silence it', async () => {
    await scanner.dispose?.();
    await writeFile(fake.command, '#!/bin/sh\necho --config\n');
    scanner = await fake.scanner();

    await expect(scanner.scan(npm('clean'), live())).rejects.toMatchObject({ code: 'SCAN_UNAVAILABLE' });
  });

  it.each(['hang', 'fork'] as const)(
    'that does not end (%s) is ended as a group when nobody waits',
    async (behaviour) => {
      fake.behave(behaviour);
      const abort = new AbortController();

      const scanning = scanner.scan(npm('clean'), abort.signal);
      const pid = await fake.started();
      abort.abort();

      await expect(scanning).rejects.toMatchObject({ kind: 'scan-unavailable', code: 'SCAN_INTERRUPTED' });
      await ended([pid, ...fake.children()]);
      expect(fake.children()).toHaveLength(behaviour === 'fork' ? 1 : 0);
    },
  );

  it('goes on for the others when one of them leaves', async () => {
    const abort = new AbortController();

    const [left, stayed] = [scanner.scan(npm('clean'), abort.signal), scanner.scan(npm('vulnerable'), live())];
    abort.abort();

    await expect(left).rejects.toMatchObject({ code: 'SCAN_INTERRUPTED' });
    await expect(stayed).resolves.toMatchObject({ findings: [{ id: 'CVE-2026-0001' }] });
  });

  it('that takes too long is an error', async () => {
    const hasty = await fake.scanner({ timeout: '300ms' });
    fake.behave('hang');

    await expect(hasty.scan(npm('clean'), live())).rejects.toMatchObject({ code: 'SCAN_TIMEOUT' });

    await ended([await fake.started()]);
  });
});

describe('a database', () => {
  it('that is too old says nothing, and health says so', async () => {
    await fake.writeDatabase(NOW - 8 * DAY);

    await expect(scanner.scan(npm('vulnerable'), live())).rejects.toMatchObject({ code: 'SCAN_STALE' });
    await expect(scanner.check()).rejects.toMatchObject({ code: 'SCAN_STALE' });
    expect(scanner.databaseDate?.()).toBe(NOW - 8 * DAY);
  });

  it('is downloaded from the repository that is named, and taken in use', async () => {
    await scanner.dispose?.();
    scanner = await fake.scanner({
      databaseRepository: 'registry.example.com/trivy-db:2',
      username: 'reader',
      password: 'secret',
    });
    const before = scanner.revision();

    const changed = await scanner.update?.(live());

    expect(changed).toBeUndefined();
    expect(scanner.revision()).not.toBe(before);
    expect(scanner.databaseDate?.()).toBe(NOW);
    const [download] = fake.calls();
    expect(download?.args).toEqual(expect.arrayContaining(['--db-repository', 'registry.example.com/trivy-db:2']));
    expect(download?.args.join(' ')).not.toContain('secret');
    expect(download?.environment).toMatchObject({ TRIVY_USERNAME: 'reader', TRIVY_PASSWORD: 'secret' });
    await expect(scanner.scan(npm('vulnerable'), live())).resolves.toMatchObject({ revision: scanner.revision() });
  });

  it('stays when a download fails', async () => {
    const before = scanner.revision();
    await writeFile(
      fake.command,
      '#!/bin/sh\ncase "$*" in *--help*) echo --config --ignorefile --list-all-pkgs --skip-db-update;; *) exit 1;; esac\n',
    );

    await expect(scanner.update?.(live())).rejects.toMatchObject({ code: 'SCAN_FAILED' });

    expect(scanner.revision()).toBe(before);
    await expect(scanner.check()).resolves.toBeUndefined();
  });

  it('is not downloaded before its next one is due, nor where others keep it', async () => {
    const keeping = await fake.scanner({ updates: false });
    await keeping.update?.(live());
    await fake.writeDatabase(NOW, NOW + DAY);
    await scanner.update?.(live());

    expect(fake.calls()).toEqual([]);
  });

  it('that is gone keeps its revision, which others remember', async () => {
    const before = scanner.revision();
    await rm(fake.database, { recursive: true });

    await expect(scanner.check()).rejects.toMatchObject({ code: 'SCAN_UNAVAILABLE' });

    expect(scanner.revision()).toBe(before);
  });

  it('that is gone, like the program, is an error of the health check', async () => {
    await rm(fake.command);

    await expect(scanner.check()).rejects.toMatchObject({ kind: 'scan-unavailable', code: 'SCAN_UNAVAILABLE' });
  });
});

describe('an image', () => {
  const component = { name: 'vulnerable', version: '1.0.0', purl: 'pkg:npm/vulnerable@1.0.0' };

  it('is judged with its layers', async () => {
    const { manifest, parts } = imageOf([component]);

    const report = await scanner.scan(subjectOf(manifest, parts), live());

    expect(report).toMatchObject({
      coverage: 'full',
      findings: [{ id: 'CVE-2026-0001', component: 'pkg:npm/vulnerable@1.0.0' }],
    });
  });

  it('of an index is the one of the platform, which is a part of it', async () => {
    const [good, bad] = [imageOf([]), imageOf([component])];
    const index = blobOf({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: [
        { ...good.manifest.descriptor, platform: { os: 'linux', architecture: 'arm64' } },
        { ...bad.manifest.descriptor, platform: { os: 'linux', architecture: 'amd64' } },
      ],
    });
    const parts = [...good.parts, ...bad.parts, good.manifest, bad.manifest];

    const report = await scanner.scan(subjectOf(index, parts), live());

    expect(report).toMatchObject({ coverage: 'partial', findings: [{ id: 'CVE-2026-0001' }] });
  });

  it('in which nothing is recognised is not clean', async () => {
    const { manifest, parts } = imageOf([]);

    await expect(scanner.scan(subjectOf(manifest, parts), live())).rejects.toMatchObject({ code: 'SCAN_UNSUPPORTED' });
  });

  it('that is a chart is not judged', async () => {
    const { manifest, parts } = imageOf([component], 'application/vnd.cncf.helm.config.v1+json');

    await expect(scanner.scan(subjectOf(manifest, parts), live())).rejects.toMatchObject({ code: 'SCAN_UNSUPPORTED' });
  });

  it('with a layer that is not to be had, or has other bytes than it says, is an error', async () => {
    const { manifest, parts } = imageOf([component]);
    const [config, layer] = parts as [Blob, Blob];
    const longer = { ...layer, bytes: Buffer.concat([layer.bytes, Buffer.from(' ')]) };

    await expect(scanner.scan(subjectOf(manifest, [config]), live())).rejects.toMatchObject({ code: 'SCAN_FAILED' });
    await expect(scanner.scan(subjectOf(manifest, [config, longer]), live())).rejects.toThrow();
  });

  it('that is too large is not judged', async () => {
    const small = await fake.scanner({ maxImageSize: '10B' });
    const { manifest, parts } = imageOf([component]);

    await expect(small.scan(subjectOf(manifest, parts), live())).rejects.toMatchObject({ code: 'SCAN_UNSUPPORTED' });
  });
});

describe('a server', () => {
  let server: Server;
  let version: object | undefined;

  beforeEach(async () => {
    version = { Version: '0.74.0', VulnerabilityDB: { Version: 2, UpdatedAt: new Date(NOW - DAY).toISOString() } };
    server = createServer(({ url }, response) => {
      const isVersion = url === '/trivy/version';
      if (isVersion && version !== undefined) response.end(JSON.stringify(version));
      else response.writeHead(url === '/trivy/healthz' ? 200 : 404).end('ok');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    await rm(fake.database, { recursive: true });
    await scanner.dispose?.();
    const { port } = server.address() as AddressInfo;
    scanner = await fake.scanner({ server: `http://127.0.0.1:${port}/trivy`, token: 'secret' });
  });

  afterEach(() => new Promise((resolve) => server.close(resolve)));

  it('has the database, and is told the token by the environment', async () => {
    const report = await scanner.scan(npm('vulnerable'), live());

    expect(report.findings).toMatchObject([{ id: 'CVE-2026-0001' }]);
    expect(scanner.databaseDate?.()).toBe(NOW - DAY);
    const [call] = fake.calls();
    expect(call?.args).toContain('--server');
    expect(call?.args).not.toContain('secret');
    expect(call?.environment.TRIVY_TOKEN).toBe('secret');
  });

  it('of an old build does not say of when its database is', async () => {
    version = undefined;

    await expect(scanner.scan(npm('vulnerable'), live())).resolves.toMatchObject({ revision: 'server' });
    expect(scanner.databaseDate?.()).toBeUndefined();
  });

  it('that is gone is an error', async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));

    await expect(scanner.check()).rejects.toMatchObject({ code: 'SCAN_UNAVAILABLE' });
    server = createServer().listen(0, '127.0.0.1');
  });
});

describe('options', () => {
  it.each([
    { maxAge: 'soon' },
    { databaseRepository: '--reset' },
    { token: 'x' },
    { username: 'x' },
    { server: 'ftp://127.0.0.1' },
    { platform: 'linux' },
    { nonsense: true },
  ])('refuse %j', async (options) => {
    await expect(fake.scanner(options)).rejects.toThrow(
      Object.keys(options)[0] === 'username' ? 'password' : Object.keys(options)[0],
    );
  });
});

interface Blob {
  readonly descriptor: { readonly mediaType: string; readonly digest: Digest; readonly size: number };
  readonly bytes: Buffer;
}

function blobOf(value: object, mediaType?: string): Blob {
  const bytes = Buffer.from(JSON.stringify(value));
  const digest: Digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  const own = (value as { mediaType?: string }).mediaType;
  return { bytes, descriptor: { mediaType: mediaType ?? own ?? 'application/json', digest, size: bytes.length } };
}

function imageOf(
  components: readonly object[],
  configType = 'application/vnd.oci.image.config.v1+json',
): { readonly manifest: Blob; readonly parts: readonly Blob[] } {
  const config = blobOf({ os: 'linux', components }, configType);
  const layer = blobOf(components, 'application/vnd.oci.image.layer.v1.tar+gzip');
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = blobOf({ schemaVersion: 2, mediaType, config: config.descriptor, layers: [layer.descriptor] });
  return { manifest, parts: [config, layer] };
}

function contentOf({ bytes, descriptor }: Blob): Content {
  return {
    size: bytes.length,
    mediaType: descriptor.mediaType,
    async *stream() {
      yield bytes;
    },
    bytes: async () => bytes,
  };
}

function subjectOf(manifest: Blob, parts: readonly Blob[]): ScanSubject {
  return {
    coordinates: { ecosystem: 'oci', name: 'library/demo', version: manifest.descriptor.digest },
    digest: manifest.descriptor.digest,
    content: contentOf(manifest),
    async part(digest) {
      const found = parts.find(({ descriptor }) => descriptor.digest === digest);
      return found && contentOf(found);
    },
  };
}
