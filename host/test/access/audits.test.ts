import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, expect, it, onTestFinished } from 'vitest';
import { basic, startHost, type TestHost } from './server.js';

const BULK = '/-/npm/v1/security/advisories/bulk';
const LEGACY = '/-/npm/v1/security/audits/quick';
const ANN = basic('ann', 'of ann');
const CLOSED = 'access: { users: { ann: { password: "${env:ANN}" } } }';

/** A scanner that answers audits by what it was asked. */
const SCANNER = `export default {
  kind: 'scanner', apiVersion: 1, id: 'own', options: { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } }, inject: {},
  create: () => ({
    subjects: { ecosystems: ['npm'] }, needs: 'coordinates', revision: () => '1', check: async () => {},
    scan: async () => ({ scanner: 'own', revision: '1', scannedAt: Date.now(), coverage: 'full', findings: [] }),
    answer: ({ body }) => ({ status: 200, mediaType: 'application/json', body: body === undefined ? '{}' : Buffer.from(body).toString() }),
  }),
};`;

interface Opened extends TestHost {
  /** Bodies of audits that came to the upstream. */
  readonly audited: string[];
  ask(path: string, body: unknown, authorization?: string): Promise<{ readonly status: number; readonly text: string }>;
}

async function open(repository: string, more = ''): Promise<Opened> {
  const audited: string[] = [];
  const upstream = createServer(async (request, response) => {
    audited.push(await text(request));
    response.setHeader('Content-Type', 'application/json').end('{}');
  });
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  onTestFinished(() => void upstream.close());
  upstream.unref();
  const url = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`;
  const host = await startHost(
    `repositories: { npm: { type: npm, upstream: "${url}", ${repository} } }\n${more}`,
    { 'own.mjs': SCANNER },
    { ANN: 'of ann' },
  );
  return {
    ...host,
    audited,
    ask: (path, body, authorization) =>
      host.get(path, authorization, {
        method: 'POST',
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json' },
      }),
  };
}

describe('audits that a scanner answers', () => {
  it('are for those who may read the repository', async () => {
    const { ask, audited } = await open(CLOSED, 'scanners: [{ type: ./own.mjs }]');
    for (const path of [BULK, LEGACY]) {
      expect((await ask(`/npm${path}`, { demo: ['1.0.0'] })).status).toBe(401);
      expect((await ask(`/npm${path}`, { demo: ['1.0.0'] }, basic('ann', 'x'))).status).toBe(401);
      expect((await ask(`/npm${path}`, {}, ANN)).status).toBe(200);
    }
    expect(JSON.parse((await ask(`/npm${BULK}`, { demo: ['1.0.0'] }, ANN)).text)).toEqual({ demo: ['1.0.0'] });
    expect(audited).toEqual([]);
  });

  it('are none where audits are switched off', async () => {
    const { ask, audited } = await open('audit: "off"', 'scanners: [{ type: ./own.mjs }]');
    for (const path of [BULK, LEGACY]) expect((await ask(`/npm${path}`, { demo: ['1.0.0'] })).status).toBe(404);
    expect(audited).toEqual([]);
  });

  it('are asked of names that must not leave, for they do not', async () => {
    const rule = '{ id: private-names, match: { purl: ["pkg:npm/@acme/*"] }, action: deny }';
    const { ask, audited } = await open('', `policy: { rules: [${rule}] }\nscanners: [{ type: ./own.mjs }]`);
    const asked = { '@acme/x': ['1.0.0'], demo: ['1.0.0'] };
    expect(JSON.parse((await ask(`/npm${BULK}`, asked)).text)).toEqual(asked);
    expect(audited).toEqual([]);
  });
});

describe('audits of the upstream', () => {
  it('name nothing that policy refuses to ask for', async () => {
    const rule =
      '{ id: private-names, match: { kinds: [proxy], purl: ["pkg:npm/@acme/*", "pkg:npm/secret-*"] }, action: deny }';
    const { ask, audited } = await open('', `policy: { mode: enforce, rules: [${rule}] }`);
    const body = { '@acme/x': ['1.0.0'], 'secret-tool': ['2.0.0'], demo: ['1.0.0'] };
    expect((await ask(`/npm${BULK}`, body)).status).toBe(200);
    const dependencies = { '@acme/x': { version: '1.0.0' }, demo: { version: '1.0.1' } };
    expect((await ask(`/npm${LEGACY}`, { dependencies })).status).toBe(200);
    expect(audited.map((sent) => JSON.parse(sent) as unknown)).toEqual([{ demo: ['1.0.0'] }, { demo: ['1.0.1'] }]);
  });
});

describe('the API of the advisory database', () => {
  it('is closed where every repository is', async () => {
    const { ask, get } = await open(
      CLOSED,
      'scanners: [{ type: ./own.mjs }]\nadmin: { users: { bob: { password: "${env:ANN}" } } }',
    );
    for (const path of ['/v1/query', '/v1/querybatch']) {
      expect((await ask(path, {})).status).toBe(401);
      expect((await ask(path, {}, basic('ann', 'x'))).status).toBe(401);
      expect((await ask(path, {}, ANN)).status).toBe(200);
      expect((await ask(path, {}, basic('bob', 'of ann'))).status).toBe(200);
    }
    expect(await get('/v1/vulns/CVE-1')).toMatchObject({ status: 401, challenge: expect.stringContaining('Basic') });
    // Nor is a stranger told where the repository has its packages from.
    expect((await get('/')).text).not.toContain('upstream</dt>');
  });

  it('is open where one of them is', async () => {
    const { ask, get } = await open('', 'scanners: [{ type: ./own.mjs }]');
    expect((await ask('/v1/query', {})).status).toBe(200);
    expect((await get('/')).text).toContain('upstream</dt>');
  });
});
