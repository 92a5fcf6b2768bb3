import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Content, Resource } from '@entrepot/core';
import { openTestRepository, type TestReply, type TestRepository } from '@entrepot/core/testing';
import plugin from '../src/index.js';
import { index } from '../src/classes.js';
import { renderProjectList } from '../src/project-list.js';
import { HTML_TYPE, JSON_TYPE, parse, pypi, request, requestFor } from './fixtures.js';

const BASE = '/upstream/base';
const NAME = 'demo-1.0-py3-none-any.whl';
const WHEEL = Buffer.alloc(300_000, 'PK the wheel ');
const METADATA = 'Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n';
const SIGNATURE = '-----BEGIN PGP SIGNATURE-----\n\nx\n-----END PGP SIGNATURE-----\n';
const PORTAL = '<!DOCTYPE html><title>Welcome</title><form>Log in</form>';
const PATH = `/files/demo/${sha256(WHEEL).slice(0, 16)}/${NAME}`;

let repository: TestRepository;
beforeEach(async () => {
  repository = await openTestRepository({ plugin });
});
afterEach(() => repository.close());

function sha256(bytes: Buffer | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function serve(path: string, body: string | Buffer, mediaType?: string, more: object = {}): void {
  repository.upstream.serve(`${BASE}/${path}`, { body, ...(mediaType !== undefined && { mediaType }), ...more });
}

function servePage(file: object = {}, page: object = {}): void {
  const one = { filename: NAME, url: `../../f/${NAME}`, hashes: { sha256: sha256(WHEEL) }, ...file };
  serve(
    'simple/demo/',
    JSON.stringify({ meta: { 'api-version': '1.0' }, name: 'demo', files: [one], ...page }),
    JSON_TYPE,
  );
  serve(`f/${NAME}`, WHEEL);
}

/** The path of the file on the page, as a client finds it. */
async function listed(): Promise<string> {
  const page = (await repository.ask({ path: '/simple/demo/', headers: { accept: JSON_TYPE } })).body.toString();
  const { files } = JSON.parse(page) as { files: { url: string }[] };
  return (files[0]?.url ?? '').replace('../..', '');
}

function hasFailed({ status, error }: TestReply): boolean {
  return status >= 500 || error !== undefined;
}

const isKept = async (key: string): Promise<boolean> => (await repository.entries.find('test', key)) !== undefined;

describe('a project page that is none', () => {
  it.each([
    ['a login page', PORTAL, 'text/html'],
    ['a login page that says it is JSON', PORTAL, JSON_TYPE],
    ['a page that says it is HTML', '{"meta":{"api-version":"1.0"},"files":[]}', 'text/html'],
    ['nothing', '', JSON_TYPE],
    ['nothing that says it is HTML', '', HTML_TYPE],
    ['null', 'null', JSON_TYPE],
    ['a list', '[]', JSON_TYPE],
    ['a page that is cut', '{"meta":{"api-version":"1.0"},"files":[{"filename":"demo-1.0.tar', JSON_TYPE],
    ['two pages', '{"meta":{},"files":[]}{"meta":{},"files":[]}', JSON_TYPE],
    ['another project', '{"meta":{},"name":"other","files":[]}', JSON_TYPE],
    ['another version of the API', '{"meta":{"api-version":"2.0"},"files":[]}', JSON_TYPE],
    ['an error of a proxy as plain text', 'upstream timed out', 'text/plain'],
    ['bytes', gzipSync('{"meta":{},"files":[]}'), JSON_TYPE],
  ])('%s is an outage: refused, or the kept one stands', async (_, body, mediaType) => {
    serve('simple/demo/', body, mediaType);
    expect((await repository.ask('/simple/demo/')).status).toBe(502);
    expect(await isKept('simple/demo')).toBe(false);
    servePage();
    const first = await repository.ask('/simple/demo/');
    expect(first.status).toBe(200);
    repository.clock.advance(300_001);
    serve('simple/demo/', body, mediaType);
    const second = await repository.ask('/simple/demo/');
    expect([second.status, second.outcome]).toEqual([200, 'stale']);
    expect(second.body.equals(first.body)).toBe(true);
  });

  it.each([
    ['application/json', '{"meta":{},"files":[]}'],
    ['text/plain', '{"meta":{},"files":[]}'],
    ['application/octet-stream', '<title>Links for demo</title>'],
    ['application/vnd.pypi.simple.v1+html; charset=UTF-8', '<title>Links for demo</title>'],
  ])('is not one that is only called %s', async (mediaType, body) => {
    serve('simple/demo/', body, mediaType);
    expect((await repository.ask('/simple/demo/')).status).toBe(200);
  });
});

describe('a metadata sidecar', () => {
  const promised = { 'core-metadata': { sha256: sha256(METADATA) } };
  const unpromised = { 'core-metadata': true };
  const key = `file/demo/${sha256(WHEEL).slice(0, 16)}/${NAME}.metadata`;

  it.each([
    ['other bytes', promised, `${METADATA}Requires-Dist: evil\n`, {}],
    ['the wheel', promised, WHEEL, {}],
    ['compressed bytes that do not say so', promised, gzipSync(METADATA), {}],
    ['compressed bytes that do not say so, without a promise', unpromised, gzipSync(METADATA), {}],
    ['a login page', promised, PORTAL, { mediaType: 'text/html' }],
    ['a login page, without a promise', unpromised, PORTAL, { mediaType: 'text/html' }],
    ['nothing, without a promise', unpromised, '', {}],
  ])('that is %s is refused and not kept', async (_, file, body, more) => {
    servePage(file);
    serve(`f/${NAME}.metadata`, body, undefined, more);
    expect(hasFailed(await repository.ask(`${PATH}.metadata`))).toBe(true);
    expect(await isKept(key)).toBe(false);
    serve(`f/${NAME}.metadata`, METADATA);
    expect((await repository.ask(`${PATH}.metadata`)).body.toString()).toBe(METADATA);
  });

  it.each([promised, unpromised])('that comes compressed, and says so, is unpacked (%j)', async (file) => {
    servePage(file);
    serve(`f/${NAME}.metadata`, METADATA, undefined, { fault: { kind: 'gzip' } });
    const reply = await repository.ask(`${PATH}.metadata`);
    expect([reply.status, reply.body.toString()]).toEqual([200, METADATA]);
    expect(reply.headers['content-encoding']).toBeUndefined();
  });

  it.each([
    [403, 403],
    [404, 404],
    [410, 404],
  ])('that the upstream answers with %d is answered with %d', async (status, answer) => {
    servePage(promised);
    serve(`f/${NAME}.metadata`, 'no', undefined, { status });
    expect((await repository.ask(`${PATH}.metadata`)).status).toBe(answer);
  });
});

describe('a signature', () => {
  it.each([undefined, true])('is served where the page says gpg-sig: %s', async (signed) => {
    servePage({ 'gpg-sig': signed, url: `../../f/${NAME}?token=x` });
    serve(`f/${NAME}.asc?token=x`, SIGNATURE);
    expect((await repository.ask(`${PATH}.asc`)).body.toString()).toBe(SIGNATURE);
  });

  it('that the page denies is not asked for', async () => {
    servePage({ 'gpg-sig': false });
    serve(`f/${NAME}.asc`, SIGNATURE);
    expect((await repository.ask(`${PATH}.asc`)).status).toBe(404);
    expect(repository.upstream.count(`${BASE}/f/${NAME}.asc`)).toBe(0);
  });

  it.each([
    ['.sig', Buffer.from('88750400160a001d162104', 'hex').toString('latin1'), 'application/octet-stream'],
    ['.minisig', 'untrusted comment: signature\nRUQf6LRCGA9i\n', 'text/plain; charset=utf-8'],
  ])('%s is served beside its file, whatever the page says of OpenPGP', async (suffix, body, mediaType) => {
    servePage({ 'gpg-sig': false });
    serve(`f/${NAME}${suffix}`, body);
    const reply = await repository.ask(`${PATH}${suffix}`);
    expect([reply.status, reply.body.toString(), reply.headers['content-type']]).toEqual([200, body, mediaType]);
    await repository.ask(`${PATH}${suffix}`);
    expect(repository.upstream.count(`${BASE}/f/${NAME}${suffix}`)).toBe(1);
  });

  it.each(['.sig', '.minisig'])('%s that is a login page is refused', async (suffix) => {
    servePage();
    serve(`f/${NAME}${suffix}`, PORTAL, 'text/html');
    expect(hasFailed(await repository.ask(`${PATH}${suffix}`))).toBe(true);
  });

  it('of a file that no page lists is not asked for', async () => {
    servePage();
    expect((await repository.ask(`/files/demo/${'0'.repeat(16)}/${NAME}.asc`)).status).toBe(404);
    expect((await repository.ask(`${PATH}.asc.asc`)).status).toBe(404);
  });

  it('that is a login page is refused', async () => {
    servePage();
    serve(`f/${NAME}.asc`, PORTAL, 'text/html');
    expect(hasFailed(await repository.ask(`${PATH}.asc`))).toBe(true);
  });
});

describe('a file', () => {
  it.each([
    ['a login page', PORTAL, 'text/html'],
    ['a login page that says it is a file', ` \n${PORTAL}`, 'application/octet-stream'],
    ['nothing', '', 'application/octet-stream'],
  ])('without a hash that is %s is refused and not kept', async (_, body, mediaType) => {
    servePage({ hashes: {} });
    const path = await listed();
    serve(`f/${NAME}`, body, mediaType);
    expect(hasFailed(await repository.ask(path))).toBe(true);
    serve(`f/${NAME}`, WHEEL);
    expect((await repository.ask(path)).body.equals(WHEEL)).toBe(true);
  });

  it('is what its hash says, whatever the upstream calls it', async () => {
    servePage();
    serve(`f/${NAME}`, WHEEL, 'text/html; charset=utf-8');
    const { body, headers } = await repository.ask(PATH);
    expect(body.equals(WHEEL)).toBe(true);
    expect(headers['content-type']).toBe('application/octet-stream');
  });

  it('that a server calls compressed because of its name is left as it is', async () => {
    const sdist = gzipSync('an sdist');
    const name = 'demo-1.0.tar.gz';
    servePage({ filename: name, url: `../../f/${name}`, hashes: { sha256: sha256(sdist) } });
    serve(`f/${name}`, sdist, 'application/x-tar', { headers: { 'content-encoding': 'gzip' } });
    const { body, headers } = await repository.ask(await listed());
    expect(body.equals(sdist)).toBe(true);
    expect(headers['content-encoding']).toBeUndefined();
  });

  it('with md5 alone is checked by that', async () => {
    const md5 = createHash('md5').update(WHEEL).digest('hex');
    servePage({ hashes: { md5 } });
    const path = await listed();
    serve(`f/${NAME}`, Buffer.alloc(WHEEL.length, 'poison'));
    expect(hasFailed(await repository.ask(path))).toBe(true);
    serve(`f/${NAME}`, WHEEL);
    expect((await repository.ask(path)).body.equals(WHEEL)).toBe(true);
  });

  it('is served in parts while it is still being fetched', async () => {
    servePage();
    const gate = repository.upstream.hold(`${BASE}/f/${NAME}`, { afterBytes: 200_000 });
    const whole = repository.ask(PATH);
    await gate.reached;
    const parts = ['bytes=100-199', 'bytes=-100'].map((range) => repository.ask({ path: PATH, headers: { range } }));
    gate.open();
    const [first, last] = (await Promise.all(parts)).map(({ status, body }) => ({ status, body }));
    expect(first).toEqual({ status: 206, body: WHEEL.subarray(100, 200) });
    expect(last).toEqual({ status: 206, body: WHEEL.subarray(-100) });
    expect((await whole).body.equals(WHEEL)).toBe(true);
    expect(repository.upstream.count(`${BASE}/f/${NAME}`)).toBe(1);
  });

  it('answers HEAD with a range as it answers HEAD', async () => {
    servePage();
    await repository.ask(PATH);
    const whole = await repository.ask({ method: 'HEAD', path: PATH });
    const part = await repository.ask({ method: 'HEAD', path: PATH, headers: { range: 'bytes=0-9' } });
    // RFC 9110 §14.2: a range is defined for GET alone.
    expect([part.status, part.headers['content-length']]).toEqual([200, whole.headers['content-length']]);
    expect(part.body.length).toBe(0);
  });
});

describe('names', () => {
  it.each([
    ['demo.pkg', 'demo-pkg'],
    ['Demo_Pkg', 'demo-pkg'],
    ['demo--pkg', 'demo-pkg'],
    ['DEMO._-pkg', 'demo-pkg'],
  ])('of a page that calls itself %s are those of %s', async (name, project) => {
    const files = ['demo_pkg-1.0.tar.gz', 'demo-pkg-1.0.zip', 'Demo.Pkg-1.0-py3-none-any.whl'].map((filename) => ({
      filename,
      url: filename,
      hashes: { sha256: sha256(filename) },
    }));
    serve(`simple/${project}/`, JSON.stringify({ meta: {}, name, files }), JSON_TYPE);
    const page = await repository.ask({ path: `/simple/${project}/`, headers: { accept: JSON_TYPE } });
    expect(JSON.parse(page.body.toString())).toMatchObject({
      name: project,
      files: files.map(({ filename }) => ({ filename })),
    });
    const redirect = await repository.ask(`/simple/${name}/`);
    expect([redirect.status, redirect.headers['location']]).toEqual([301, `../${project}/`]);
  });
});

describe('what changes', () => {
  it('is followed: a file is yanked, and no longer', async () => {
    const yanks = async (): Promise<unknown> => {
      repository.clock.advance(300_001);
      const page = await repository.ask({ path: '/simple/demo/', headers: { accept: JSON_TYPE } });
      return (JSON.parse(page.body.toString()) as { files: { yanked: unknown }[] }).files[0]?.yanked;
    };
    for (const yanked of [false, true, 'broken', false]) {
      servePage({ yanked });
      expect(await yanks()).toBe(yanked);
    }
    servePage({ yanked: '' });
    expect(await yanks()).toBe(false);
  });

  it('leaves a file that is deleted, and one that comes back with other bytes is another', async () => {
    servePage();
    await repository.ask(PATH);
    servePage({}, { files: [] });
    repository.clock.advance(300_001);
    expect(
      JSON.parse((await repository.ask({ path: '/simple/demo/', headers: { accept: JSON_TYPE } })).body.toString()),
    ).toMatchObject({ files: [] });
    expect((await repository.ask(PATH)).body.equals(WHEEL)).toBe(true);
    servePage({ hashes: { sha256: sha256('new') } });
    serve(`f/${NAME}`, 'new');
    repository.clock.advance(300_001);
    const path = await listed();
    expect(path).not.toBe(PATH);
    expect((await repository.ask(path)).body.toString()).toBe('new');
    expect((await repository.ask(PATH)).body.equals(WHEEL)).toBe(true);
  });
});

describe('the list of 700,000 projects', () => {
  const COUNT = 700_000;
  const document = pypi.route(request('/simple/', { accept: JSON_TYPE })) as Resource;

  /** Made while it is read. `taken` tells how many bytes were. */
  function lazily(head: string, line: (index: number) => string, tail: string, mediaType: string) {
    const counter = { taken: 0 };
    const content: Content = {
      size: COUNT * 40,
      mediaType,
      async *stream() {
        yield Buffer.from(head);
        for (let at = 0; at < COUNT; at += 1000) {
          const lines = Buffer.from(
            Array.from({ length: Math.min(1000, COUNT - at) }, (_, one) => line(at + one)).join(''),
          );
          counter.taken += lines.length;
          yield lines;
        }
        yield Buffer.from(tail);
      },
      bytes: () => Promise.reject(new Error('it is not to be held whole')),
    };
    return { content, counter };
  }

  const forms = {
    HTML: () =>
      lazily(
        '<title>Simple index</title>',
        (at) => `<a href="/simple/project-${at}/">project-${at}</a><br/>\n`,
        '',
        'text/html',
      ),
    JSON: () =>
      lazily(
        '{"meta":{"api-version":"1.4"},"projects":[{"name":"x"}',
        (at) => `,{"name":"project-${at}"}`,
        ']}',
        JSON_TYPE,
      ),
  };

  it.each(['HTML', 'JSON'] as const)(
    'is read from %s in step with who takes it, and others have their turn',
    async (form) => {
      const { content, counter } = forms[form]();
      await parse(index, document, content);
      counter.taken = 0;
      let turns = 0;
      let isReading = true;
      const count = (): void => {
        turns += 1;
        if (isReading) setImmediate(count);
      };
      setImmediate(count);
      let given = 0;
      let ahead = 0;
      for await (const piece of renderProjectList(requestFor(document, content), () => true)) {
        given += piece.length;
        // The lines that come are longer than those that go.
        ahead = Math.max(ahead, counter.taken / given);
        expect(piece.length).toBeLessThan(256 * 1024);
      }
      isReading = false;
      expect(given).toBeGreaterThan(COUNT * 20);
      expect(ahead).toBeLessThan(10);
      expect(turns).toBeGreaterThan(50);
    },
  );

  it('goes through the server', async () => {
    const body = `{"meta":{"api-version":"1.4"},"projects":[${Array.from({ length: COUNT }, (_, at) => `{"name":"project-${at}"}`).join(',')}]}`;
    repository.upstream.handle(`${BASE}/simple/`, async (_request, response) => {
      response.writeHead(200, { 'content-type': JSON_TYPE });
      if (!response.write(body)) await once(response, 'drain');
      response.end();
    });
    const reply = await repository.ask({ path: '/simple/', headers: { accept: JSON_TYPE } });
    expect(reply.status).toBe(200);
    expect((JSON.parse(reply.body.toString()) as { projects: unknown[] }).projects).toHaveLength(COUNT);
  });
});
