import { describe, expect, it } from 'vitest';
import type { AdaptContext, Upstream, Resource } from '@entrepot/core';
import { adaptAuditReply, adaptAuditRequest } from '../src/audit.js';

const UPSTREAMS: readonly Upstream[] = [
  { url: 'https://registry.example.com' },
  { url: 'https://acme.example.com', scope: '@acme' },
];

function audit(key: 'audit' | 'legacy-audit'): Resource {
  return { class: 'audit', key, path: 'bulk' };
}

const bytes = (value: unknown): Buffer => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));

const LEAVES: AdaptContext = { leaves: true, admits: ({ name }) => name !== '@types/refused' };

function asked(name: 'audit' | 'legacy-audit', body: unknown, context = LEAVES): unknown {
  const adapted = adaptAuditRequest(audit(name), bytes(body), UPSTREAMS, context);
  expect(adapted).toMatchObject({ method: 'POST', upstreamPath: 'bulk', mediaType: 'application/json' });
  return JSON.parse(Buffer.from(adapted.body ?? []).toString());
}

function replied(
  name: 'audit' | 'legacy-audit',
  status: number,
  reply: unknown,
  body: unknown = {},
): { status: number; mediaType: string; body: unknown } {
  const adapted = adaptAuditReply(audit(name), { status, body: bytes(reply) }, { requestBody: bytes(body) });
  return { ...adapted, body: JSON.parse(Buffer.from(adapted.body).toString()) as unknown };
}

const ADVISORY = {
  id: 1179,
  url: 'https://advisories.example.com/1179',
  title: 'Prototype pollution',
  severity: 'high',
  vulnerable_versions: '<1.2.6 || >=2.0.0 <2.1.1',
  cwe: ['CWE-1321'],
  cvss: { score: 7.5, vectorString: 'CVSS:3.1/AV:N' },
};

const TREE = {
  name: 'app',
  version: '1.0.0',
  requires: { minimist: '^1' },
  dependencies: {
    minimist: { version: '1.2.0' },
    mkdirp: { version: '0.5.0', dev: true, dependencies: { minimist: { version: '1.2.0', dev: true } } },
    fixed: { version: '3.0.0', optional: true, dependencies: { minimist: { version: '2.1.1' } } },
    '@acme/private': { version: '1.0.0' },
  },
};

describe('a bulk audit', () => {
  it('is forwarded, sorted, without names that are private to a scope or no names', () => {
    expect(
      asked('audit', {
        minimist: ['1.2.0', '0.1.0', '1.2.0', 7],
        '@acme/private': ['1.0.0'],
        '@types/refused': ['1.0.0'],
        '@types/node': ['1.0.0'],
        '../x': ['1'],
        '.': ['0.0.0'],
      }),
    ).toStrictEqual({
      '@types/node': ['1.0.0'],
      minimist: ['0.1.0', '1.2.0'],
    });
  });

  it.each(['', 'x', '[]', 'null', '{"a":"1.0.0"}', '{"a":{}}'])('with the body %j is a bad request', (body) => {
    expect(() => asked('audit', body)).toThrow(expect.objectContaining({ kind: 'bad-request' }) as Error);
  });

  it('passes the reply on', () => {
    const reply = { minimist: [ADVISORY] };
    expect(replied('audit', 200, reply)).toStrictEqual({ status: 200, mediaType: 'application/json', body: reply });
  });

  it('passes a refusal on as JSON', () => {
    expect(replied('audit', 404, '<html>')).toStrictEqual({
      status: 404,
      mediaType: 'application/json',
      body: { error: 'the upstream registry answered the audit with 404' },
    });
  });

  it.each(['<html>', '[]', '', 'null'])('takes the reply %j for an outage', (reply) => {
    expect(() => replied('audit', 200, reply)).toThrow(
      expect.objectContaining({ code: 'UPSTREAM_MALFORMED' }) as Error,
    );
  });
});

describe('an audit of the retired routes', () => {
  it('asks for every version in the tree', () => {
    expect(asked('legacy-audit', TREE)).toStrictEqual({
      fixed: ['3.0.0'],
      minimist: ['1.2.0', '2.1.1'],
      mkdirp: ['0.5.0'],
    });
  });

  it.each([[{}], [{ dependencies: [] }], [{ dependencies: { a: null, b: 'x', c: { version: 3 } } }]])(
    'asks for nothing of %j',
    (body) => {
      expect(asked('legacy-audit', body)).toStrictEqual({});
    },
  );

  it('reads a tree of importers, as pnpm sends it', () => {
    const body = { dependencies: { '.': { version: '0.0.0', dependencies: { minimist: { version: '1.2.0' } } } } };
    expect(asked('legacy-audit', body)).toStrictEqual({ minimist: ['1.2.0'] });
    const { advisories } = replied('legacy-audit', 200, { minimist: [ADVISORY] }, body).body as {
      advisories: Record<string, { findings: unknown }>;
    };
    expect(advisories['1179']?.findings).toStrictEqual([{ version: '1.2.0', paths: ['.>minimist'] }]);
  });

  it('is answered in their shape', () => {
    const other = { ...ADVISORY, id: 2, severity: 'strange', vulnerable_versions: '>=9' };
    expect(
      replied('legacy-audit', 200, { minimist: [ADVISORY, other, null], absent: [ADVISORY], fixed: 'x' }, TREE),
    ).toStrictEqual({
      status: 200,
      mediaType: 'application/json',
      body: {
        actions: [
          {
            action: 'review',
            module: 'minimist',
            resolves: [
              { id: 1179, path: 'minimist', dev: false, optional: false, bundled: false },
              { id: 1179, path: 'mkdirp>minimist', dev: true, optional: false, bundled: false },
            ],
          },
        ],
        advisories: {
          1179: {
            id: 1179,
            findings: [{ version: '1.2.0', paths: ['minimist', 'mkdirp>minimist'] }],
            title: 'Prototype pollution',
            module_name: 'minimist',
            vulnerable_versions: '<1.2.6 || >=2.0.0 <2.1.1',
            patched_versions: '>=2.1.1',
            severity: 'high',
            overview: 'Prototype pollution',
            recommendation: 'Upgrade to version >=2.1.1',
            url: 'https://advisories.example.com/1179',
            references: 'https://advisories.example.com/1179',
            access: 'public',
            cves: [],
            cwe: ['CWE-1321'],
            cvss: { score: 7.5, vectorString: 'CVSS:3.1/AV:N' },
          },
        },
        muted: [],
        metadata: {
          vulnerabilities: { info: 0, low: 0, moderate: 0, high: 2, critical: 0 },
          dependencies: 3,
          devDependencies: 2,
          optionalDependencies: 1,
          totalDependencies: 6,
        },
      },
    });
  });

  it.each([
    ['<=1.2.5', '>1.2.5'],
    ['>=1.0.0 <1.2.6', '>=1.2.6'],
    ['>=1.0.0', '<0.0.0'],
    ['*', '<0.0.0'],
  ])('derives what is patched from %s', (range, patched) => {
    const reply = { minimist: [{ ...ADVISORY, vulnerable_versions: range }] };
    const body = { dependencies: { minimist: { version: '1.2.0' } } };
    const { advisories } = replied('legacy-audit', 200, reply, body).body as {
      advisories: Record<string, { patched_versions: string }>;
    };
    expect(advisories['1179']?.patched_versions).toBe(patched);
  });

  it('survives a tree that is too deep, and names like those of objects', () => {
    let tree: object = { version: '1.0.0' };
    for (let depth = 0; depth < 1_000; depth++) tree = { version: '1.0.0', dependencies: { a: tree } };
    expect(JSON.stringify(asked('legacy-audit', { dependencies: { constructor: tree } }))).toBe(
      '{"a":["1.0.0"],"constructor":["1.0.0"]}',
    );
    expect(asked('legacy-audit', '{"dependencies":{"__proto__":{"version":"1.0.0"}}}')).toStrictEqual({});
  });
});
