import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Finding } from '../../src/cli/finding.js';
import { checkKept } from '../../src/cli/doctor-kept.js';
import { checkDatabase, checkFolder } from '../../src/cli/doctor-storage.js';
import { loadConfig } from '../../src/config/load.js';
import { AdmittingIndex } from '../drivers/sql/admitting-index.js';
import { openSqlite } from '../../src/drivers/sql/sqlite.js';
import { TestProcess } from './test-context.js';

let cwd: string;
let terminal: TestProcess;
let upstream: Server | undefined;

beforeEach(() => {
  cwd = mkdtempSync(path.join(tmpdir(), 'entrepot-doctor-'));
  terminal = new TestProcess(cwd);
});

afterEach(async () => {
  rmSync(cwd, { recursive: true, force: true });
  upstream?.closeAllConnections();
  await new Promise((resolve) => (upstream === undefined ? resolve(undefined) : upstream.close(resolve)));
  upstream = undefined;
});

async function startUpstream(listener: RequestListener): Promise<string> {
  upstream = createServer(listener);
  await new Promise<void>((resolve) => upstream?.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`;
}

async function examine(yaml: string): Promise<{ code: number; findings: Finding[] }> {
  writeFileSync(path.join(cwd, 'entrepot.yaml'), yaml);
  const code = await terminal.run('doctor', '--json');
  return { code, findings: JSON.parse(terminal.output.join('\n')) as Finding[] };
}

function serveOne(url: string, name = 'one'): void {
  terminal.repositories = [
    { name, type: 'npm', kind: 'proxy', mount: `/${name}`, listen: undefined, upstreams: [{ url, source: 'a test' }] },
  ];
}

describe('doctor', () => {
  it('warns of a Redis that does not answer, without its password', async () => {
    terminal.env['SECRET'] = 'hush';
    const { code, findings } = await examine(
      'cache: { backend: redis, url: "redis://127.0.0.1:1", password: "${env:SECRET}" }\nrepositories: {}',
    );
    expect(findings.find(({ check }) => check === 'cache')).toMatchObject({
      status: 'warn',
      detail: expect.stringMatching(/^redis:\/\/127\.0\.0\.1:1: .*ECONNREFUSED.*works without the cache/),
    });
    expect([code, JSON.stringify(findings).includes('hush')]).toEqual([0, false]);
  });

  it('finds nothing wrong with a machine that is ready, and leaves nothing behind', async () => {
    let authorization: string | undefined;
    const url = await startUpstream((request, response) => {
      authorization = request.headers.authorization;
      response.end('{}');
    });
    serveOne(url);
    const { code, findings } = await examine(
      `repositories: { one: { type: npm, upstream: "${url}", auth: { token: t } } }`,
    );
    expect(findings.filter(({ status, check }) => status === 'fail' && !check.startsWith('plugin '))).toEqual([]);
    expect(findings.map(({ check }) => check)).toEqual(
      expect.arrayContaining(['configuration', 'storage', 'spool', 'metadata', 'upstream of one', 'clock against one']),
    );
    expect(code).toBe(findings.some(({ status }) => status === 'fail') ? 1 : 0);
    expect(authorization).toBe('Bearer t');
    expect(readdirSync(cwd)).toEqual(['entrepot.yaml']);
  });

  it('lists every problem of the configuration', async () => {
    const { code, findings } = await examine('server: { listn: 1 }\nlog: { level: loud }');
    expect(code).toBe(1);
    expect(findings).toEqual([
      { status: 'fail', check: 'configuration', detail: 'server.listn: unknown key; did you mean listen?' },
      expect.objectContaining({ status: 'fail', check: 'configuration' }),
    ]);
  });

  it('lists what the plugins refuse, each thing once', async () => {
    terminal.problems = [
      { path: 'plugins.0', message: 'reported by its own check' },
      { path: 'repositories.one.colour', message: 'unknown key' },
    ];
    const { code, findings } = await examine('{}');
    expect(code).toBe(1);
    expect(findings).toContainEqual({
      status: 'fail',
      check: 'configuration',
      detail: 'repositories.one.colour: unknown key',
    });
    expect(findings.some(({ detail }) => detail.includes('reported by its own check'))).toBe(false);
  });

  it('warns when nothing is served', async () => {
    const { findings } = await examine('repositories: {}');
    expect(findings).toContainEqual({
      status: 'warn',
      check: 'repositories',
      detail: 'there are none: nothing is served; add one under repositories',
    });
  });

  it.each([
    [200, 'ok', /answered 200 in \d/],
    [404, 'ok', /answered 404 in \d/],
    [401, 'warn', /answered 401 .*: it needs credentials, set auth of the repository$/],
    [503, 'warn', /answered 503 .*: it is failing now, try again later$/],
  ])('judges an upstream that answers %d', async (status, expected, detail) => {
    const url = await startUpstream((_request, response) => response.writeHead(status).end());
    serveOne(url);
    const { findings } = await examine('{}');
    expect(findings).toContainEqual({
      status: expected,
      check: 'upstream of one',
      detail: expect.stringMatching(detail) as string,
    });
  });

  it('says of an upstream that it is this server itself', async () => {
    serveOne('http://localhost:8080/npm');
    const { findings } = await examine('{}');
    expect(findings).toContainEqual({
      status: 'warn',
      check: 'upstream of one',
      detail:
        'http://localhost:8080/npm (a test) is this server itself: another of its repositories, or a loop; set the URL of another server',
    });
  });

  it('fails for an upstream that does not answer, and shows no credentials', async () => {
    const url = await startUpstream((_request, response) => response.end());
    upstream?.close();
    serveOne(url);
    const { code, findings } = await examine(
      `repositories: { one: { type: npm, upstream: "${url.replace('//', '//me:s3cr3t@')}" } }`,
    );
    expect(code).toBe(1);
    expect(findings).toContainEqual({
      status: 'fail',
      check: 'upstream of one',
      detail: expect.stringContaining('refused') as string,
    });
    expect(JSON.stringify(findings)).not.toContain('s3cr3t');
  });

  it.each([
    [-30_000, 'ok', /^in step$/],
    [-600_000, 'warn', /^this machine is \S+ ahead of the upstream; synchronise it \(NTP\)$/],
    [7_200_000, 'fail', /^this machine is \S+ behind the upstream; synchronise it \(NTP\)$/],
  ])('compares clocks: %d ms', async (offset, expected, detail) => {
    const url = await startUpstream((_request, response) => {
      response.setHeader('Date', new Date(Date.now() + offset).toUTCString()).end();
    });
    serveOne(url);
    const { findings } = await examine('{}');
    expect(findings).toContainEqual({
      status: expected,
      check: 'clock against one',
      detail: expect.stringMatching(detail) as string,
    });
  });

  it('prints a table', async () => {
    await terminal.run('doctor');
    expect(terminal.output).toContainEqual(expect.stringMatching(/^ok {4}configuration +built-in default$/));
    expect(terminal.output).toContainEqual(expect.stringMatching(/^(ok|warn) +storage +\/.*free$/));
  });
});

describe('the check of a folder', () => {
  it('tells whether it will be made', async () => {
    const folder = path.join(cwd, 'data/blobs');
    expect((await checkFolder('storage', folder)).detail).toMatch(/blobs, created at the first start, \S+ free$/);
    mkdirSync(folder, { recursive: true });
    expect((await checkFolder('storage', folder)).detail).toMatch(/blobs, \S+ free$/);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('fails for a file', async () => {
    const file = path.join(cwd, 'file');
    writeFileSync(file, '');
    expect(await checkFolder('storage', file)).toEqual({
      status: 'fail',
      check: 'storage',
      detail: `${file} is not a folder`,
    });
    expect(await checkFolder('storage', path.join(file, 'blobs'))).toMatchObject({ status: 'fail' });
  });
});

describe('the check of the database', () => {
  it.each([
    ['SQLite format 3\0…', 'ok'],
    ['', 'ok'],
    ['something else', 'fail'],
  ])('of a file that begins with %j', async (content, expected) => {
    const file = path.join(cwd, 'entrepot.db');
    writeFileSync(file, content);
    const { status, detail } = await checkDatabase('metadata', file);
    expect(status === 'warn' ? 'ok' : status).toBe(expected);
    expect(detail).toContain(file);
  });

  it('tells that it will be made', async () => {
    const { detail } = await checkDatabase('metadata', path.join(cwd, 'data/entrepot.db'));
    expect(detail).toMatch(/entrepot\.db, created at the first start, \S+ free$/);
  });

  it('fails for a folder', async () => {
    const folder = path.join(cwd, 'entrepot.db');
    mkdirSync(folder);
    expect(await checkDatabase('metadata', folder)).toMatchObject({ status: 'fail' });
  });
});

describe('what is kept', () => {
  const folder = () => path.join(cwd, 'blobs', 'v1', 'sha256', 'ab');
  const file = () => path.join(cwd, 'e.db');

  const storage = async () => {
    const env = { ENTREPOT_STORAGE_PATH: path.join(cwd, 'blobs') };
    return (await loadConfig({ env, cwd })).config.storage;
  };
  beforeEach(() => mkdirSync(folder(), { recursive: true }));

  it('needs its database', async () => {
    expect(await checkKept('metadata', await storage(), file())).toEqual([]);
    writeFileSync(path.join(folder(), `ab${'0'.repeat(62)}`), 'bytes');
    const lost = {
      status: 'fail',
      check: 'metadata',
      detail: expect.stringContaining('the database has no entries'),
    };
    expect(await checkKept('metadata', await storage(), file())).toEqual([lost]);
    const database = await openSqlite({ path: file(), durability: 'relaxed' });
    const index = new AdmittingIndex(database);
    expect(await checkKept('metadata', await storage(), file())).toEqual([lost]);
    const times = { fetchedAt: 1, checkedAt: 1, integrity: [], headers: {}, mediaType: 'a/b', size: 5 };
    await index.replace({ ...times, repository: 'r', key: 'a', digest: `sha256:ab${'0'.repeat(62)}` });
    expect(await checkKept('metadata', await storage(), file())).toEqual([]);
    await index.dispose();
  });

  it('needs a database that is whole', async () => {
    const index = new AdmittingIndex(await openSqlite({ path: file(), durability: 'relaxed' }));
    for (let number = 0; number < 200; number += 1) {
      const times = { fetchedAt: 1, checkedAt: 1, integrity: [], headers: {}, mediaType: 'a/b', size: 5 };
      await index.replace({ ...times, repository: 'r', key: `a${number}`, digest: `sha256:${'0'.repeat(64)}` });
    }
    await index.dispose();
    const bytes = readFileSync(file());
    writeFileSync(file(), Buffer.concat([bytes.subarray(0, 8192), Buffer.alloc(bytes.length - 8192, 0xaa)]));
    rmSync(`${file()}-wal`, { force: true });
    rmSync(`${file()}-shm`, { force: true });
    const [found] = await checkKept('metadata', await storage(), file());
    expect(found).toMatchObject({ status: 'fail', detail: expect.stringContaining(file()) });
    await expect(openSqlite({ path: file(), durability: 'relaxed' })).rejects.toMatchObject({
      kind: 'configuration',
      message: expect.stringContaining('Put a backup in its place'),
    });
  });
});
