import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PolicyInput } from '@entrepot/core';
import { FixedPolicy, openTestRepository, type TestRepository } from '@entrepot/core/testing';
import { zip as packZip, type ZipMember } from '@entrepot/fixtures/zip';
import plugin from '../src/index.js';
import { JSON_TYPE } from './fixtures.js';

const BASE = '/upstream/base';
const METADATA = 'Metadata-Version: 2.1\r\nName: demo\r\nVersion: 1.0\n\n\u00e9 \n';
const NAME = 'demo-1.0-py3-none-any.whl';
const GOOD = [
  { name: 'demo/__init__.py', content: 'x = 1\n'.repeat(10_000) },
  { name: 'demo/demo-1.0.dist-info/METADATA', content: 'nested' },
  { name: 'demo-1.0.dist-info/METADATA', content: METADATA },
];

let repository: TestRepository;
beforeEach(async () => {
  repository = await open();
});
afterEach(() => repository.close());

async function open(deriveMetadata = true, policy?: FixedPolicy): Promise<TestRepository> {
  return openTestRepository({
    plugin,
    ...(policy !== undefined && { policy }),
    options: { deriveMetadata },
  });
}

function sha256(bytes: Buffer | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Publishes a wheel upstream. @returns its path here */
function publish(bytes: Buffer, more: object = {}, name = NAME, to = repository): string {
  const hash = sha256(bytes);
  const file = { filename: name, url: `../../f/${name}`, hashes: { sha256: hash }, ...more };
  const page = JSON.stringify({ meta: { 'api-version': '1.0' }, name: 'demo', files: [file] });
  to.upstream.serve(`${BASE}/simple/demo/`, { body: page, mediaType: JSON_TYPE, etag: `"${hash}"` });
  to.upstream.serve(`${BASE}/f/${name}`, { body: bytes });
  return `/files/demo/${hash.slice(0, 16)}/${name}`;
}

const asked = (path: string): number => repository.upstream.count(`${BASE}${path}`);

describe('metadata that the upstream does not have', () => {
  it('is read out of the wheel, byte for byte, once, and names the wheel', async () => {
    const wheel = packZip(GOOD);
    const path = publish(wheel);
    const replies = await Promise.all(Array.from({ length: 10 }, () => repository.ask(`${path}.metadata`)));
    for (const { status, body } of replies) expect([status, body.toString()]).toEqual([200, METADATA]);
    expect(replies[0]?.headers).toMatchObject({
      'content-type': 'text/plain; charset=utf-8',
      'cache-control': 'public, max-age=365000000, immutable',
      etag: `"sha256:${sha256(METADATA)}"`,
    });
    expect(asked(`/f/${NAME}`)).toBe(1);
    expect(asked(`/f/${NAME}.metadata`)).toBe(0);
    const entry = await repository.entries.find('test', `metadata/demo/${sha256(wheel).slice(0, 16)}/${NAME}`);
    expect(entry?.attributes).toEqual({ source: `sha256:${sha256(wheel)}` });
    repository.upstream.goOffline();
    repository.clock.advance(86_400_000);
    expect((await repository.ask(`${path}.metadata`)).body.toString()).toBe(METADATA);
    expect((await repository.ask(path)).body.equals(wheel)).toBe(true);
  });

  it('is offered in both forms of the page, for wheels only', async () => {
    publish(packZip(GOOD));
    const json = await repository.ask({ path: '/simple/demo/', headers: { accept: JSON_TYPE } });
    expect(JSON.parse(json.body.toString())).toMatchObject({ files: [{ 'core-metadata': true }] });
    expect((await repository.ask('/simple/demo/')).body.toString()).toContain('data-core-metadata="true"');
    const path = publish(Buffer.from('sdist'), {}, 'demo-1.0.tar.gz');
    repository.clock.advance(300_001);
    expect((await repository.ask('/simple/demo/')).body.toString()).not.toContain('core-metadata');
    expect((await repository.ask(`${path}.metadata`)).status).toBe(404);
  });

  it('is not made where that is not asked for', async () => {
    const plain = await open(false);
    const path = publish(packZip(GOOD), {}, NAME, plain);
    expect((await plain.ask(`${path}.metadata`)).status).toBe(404);
    expect((await plain.ask('/simple/demo/')).body.toString()).not.toContain('core-metadata');
    expect(plain.upstream.count(`${BASE}/f/${NAME}`)).toBe(0);
    await plain.close();
  });

  it.each([
    ['no metadata', packZip(GOOD.slice(0, 2)), 404],
    ['two of them', packZip([...GOOD, { name: 'other-1.0.dist-info/METADATA', content: 'x' }]), 404],
    ['no archive', Buffer.from('x'.repeat(1000)), 404],
    ['an archive that is cut', packZip(GOOD).subarray(0, 300), 404],
    ['a bomb', packZip([{ name: 'demo-1.0.dist-info/METADATA', content: 'x'.repeat(9 * 1024 * 1024) }]), 404],
    [
      'a bomb that lies',
      packZip([{ name: 'demo-1.0.dist-info/METADATA', content: 'x'.repeat(1e6), claimed: 10 }]),
      404,
    ],
    ['a path that climbs', packZip([{ name: '../demo-1.0.dist-info/METADATA', content: METADATA }]), 404],
  ] satisfies [string, Buffer, number][])('of a wheel with %s is not there', async (_, wheel, status) => {
    const path = publish(wheel);
    const reply = await repository.ask(`${path}.metadata`);
    expect(reply.status).toBe(status);
    expect(reply.body.toString()).toMatch(/gives no metadata/);
    expect((await repository.ask(path)).body.equals(wheel)).toBe(true);
  });

  it('is not made from a wheel that is not what was promised', async () => {
    const path = publish(packZip(GOOD));
    repository.upstream.serve(`${BASE}/f/${NAME}`, { body: packZip(GOOD.slice(1) as ZipMember[]) });
    expect((await repository.ask(`${path}.metadata`)).status).toBe(502);
    expect(await repository.entries.list('test', { prefix: 'metadata/', limit: 1 })).toEqual([]);
  });

  it('is denied as its wheel is', async () => {
    const isOld = ({ facts }: PolicyInput): boolean => (facts.publishedAt ?? Infinity) < Date.UTC(2021);
    const denied = new FixedPolicy([{ id: 'old', action: 'deny', reason: 'too old', matches: isOld }]);
    const guarded = await open(true, denied);
    const path = publish(packZip(GOOD), { 'upload-time': '2020-01-01T00:00:00Z' }, NAME, guarded);
    for (const target of [path, `${path}.metadata`]) expect((await guarded.ask(target)).status).toBe(403);
    expect(guarded.upstream.count(`${BASE}/f/${NAME}`)).toBe(0);
    await guarded.close();
  });
});

describe('metadata that the upstream says it has', () => {
  const advertised = { 'core-metadata': { sha256: sha256(METADATA) } };

  it("is the upstream's, verified, and the wheel is not fetched", async () => {
    const path = publish(packZip(GOOD), advertised);
    repository.upstream.serve(`${BASE}/f/${NAME}.metadata`, { body: METADATA });
    expect((await repository.ask(`${path}.metadata`)).body.toString()).toBe(METADATA);
    expect(asked(`/f/${NAME}`)).toBe(0);
  });

  it.each([403, 404])('comes from the wheel where the upstream answers %d', async (status) => {
    const path = publish(packZip(GOOD), advertised);
    repository.upstream.serve(`${BASE}/f/${NAME}.metadata`, { status });
    const reply = await repository.ask(`${path}.metadata`);
    expect([reply.status, reply.body.toString()]).toEqual([200, METADATA]);
  });

  it('is refused when it lies, and not replaced in silence', async () => {
    const path = publish(packZip(GOOD), advertised);
    repository.upstream.serve(`${BASE}/f/${NAME}.metadata`, { body: `${METADATA}Requires-Dist: evil\n` });
    expect((await repository.ask(`${path}.metadata`)).status).toBe(502);
    expect(await repository.entries.list('test', { prefix: 'metadata/', limit: 1 })).toEqual([]);
  });
});
