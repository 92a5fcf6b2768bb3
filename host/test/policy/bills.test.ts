import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readBill } from '../../src/policy/judge-bill.js';
import { TestProcess } from '../cli/test-context.js';
import { serve, type PolicyServer } from './support.js';

const SBOM = '/-/api/v1/sbom';
const DENY = '{ id: not-two, match: { purl: ["pkg:npm/demo@2.0.0"] }, action: deny, reason: it is broken }';
const YOUNG = '{ id: young, when: { age: { lt: 3d } }, action: hold }';
const WARN = '{ id: old, match: { purl: ["pkg:npm/demo@1.0.0"] }, mode: audit, action: deny }';

/** Knows one version of a name that nobody has fetched, and one of an ecosystem that nobody serves. */
const SCANNER = `
const finding = { id: 'CVE-1', aliases: [], severity: 'high', fixedIn: ['1.0.1'], source: 'own' };
export default {
  kind: 'scanner', apiVersion: 1, id: 'own', inject: {},
  options: { '~standard': { version: 1, vendor: 'own', validate: (value) => ({ value }) } },
  create: () => ({
    subjects: { ecosystems: ['npm', 'cargo'] }, needs: 'coordinates', revision: () => '1', check: async () => {},
    lookup: ({ version }) => (version === '1.0.0' ? [finding] : []),
    scan: async () => { throw new Error('it is looked up'); },
  }),
};`;

function open(rules: string): Promise<PolicyServer> {
  const configuration = `policy: { rules: [${rules}] }\nscanners: [{ type: ./own.mjs }]`;
  return serve(configuration, { 'own.mjs': SCANNER });
}

function cycloneDx(...components: readonly object[]): object {
  return { bomFormat: 'CycloneDX', specVersion: '1.5', components };
}

const part = (purl: string, more: object = {}): object => ({ type: 'library', name: purl, purl, ...more });

describe('a bill of materials', () => {
  it('is judged part by part, also those within others', async () => {
    const { send } = await open(`${DENY}, ${WARN}`);
    const { status, json } = await send(
      'POST',
      SBOM,
      cycloneDx(
        part('pkg:npm/demo@1.0.0'),
        part('pkg:npm/other@3.0.0?arch=any#inside', { components: [part('pkg:npm/demo@2.0.0')] }),
        part('pkg:npm/demo@2.0.0'),
        part('pkg:cargo/serde@1.0.0'),
        { type: 'application', name: 'ours' },
      ),
    );
    expect(status).toBe(200);
    expect(json).toMatchObject({
      judged: 3,
      refused: 1,
      parts: [
        {
          purl: 'pkg:npm/demo@1.0.0',
          repository: 'npm',
          action: 'allow',
          wouldBe: 'deny',
          findings: [{ id: 'CVE-1' }],
        },
        { purl: 'pkg:npm/demo@2.0.0', action: 'deny', rules: [{ id: 'not-two' }], findings: [], kept: false },
        { purl: 'pkg:cargo/serde@1.0.0', findings: [{ id: 'CVE-1' }] },
      ],
      unjudged: ['pkg:cargo/serde@1.0.0', 'ours'],
    });
    expect(json.parts).toHaveLength(3);
  });

  it('is told to no upstream, and knows what is here', async () => {
    const { get, send } = await open(YOUNG);
    const bill = cycloneDx(part('pkg:npm/demo@2.0.0'), part('pkg:npm/of-our-own@2.0.0'));
    expect((await send('POST', SBOM, bill)).json).toMatchObject({ judged: 2, refused: 0 });
    expect((await get('/metrics')).text).not.toContain('entrepot_upstream_requests_total{');
    await get('/npm/demo');
    expect((await send('POST', SBOM, bill)).json).toMatchObject({
      refused: 1,
      parts: [{ purl: 'pkg:npm/demo@2.0.0', action: 'hold' }],
    });
  });

  it('is what we make ourselves, in both forms', async () => {
    const { get, send } = await open(DENY.replace('2.0.0', '1.0.0'));
    await send('POST', '/-/api/v1/exceptions', {
      purl: ['pkg:npm/demo@1.0.0'],
      reason: 'x',
      by: 'ann',
      expires: '1d',
      id: 'e',
    });
    await get('/npm/demo/-/demo-1.0.0.tgz');
    await send('DELETE', '/-/api/v1/exceptions/e');
    for (const format of ['cyclonedx', 'spdx']) {
      const { json } = await get(`${SBOM}?format=${format}`);
      expect((await send('POST', `${SBOM}?repository=npm`, json)).json).toMatchObject({
        judged: 1,
        refused: 1,
        parts: [{ purl: 'pkg:npm/demo@1.0.0', kept: true }],
      });
      expect((await send('POST', `${SBOM}?repository=other`, json)).json).toMatchObject({ judged: 0, refused: 0 });
    }
  });

  it.each([
    ['no JSON', 'bomFormat: CycloneDX', 'expected JSON'],
    ['nothing', 'null', 'expected an object'],
    ['SPDX 3', '{"spdxVersion":"SPDX-3.0"}', 'expected CycloneDX or SPDX 2 as JSON: spdxVersion'],
    ['components that are none', '{"bomFormat":"CycloneDX","components":{}}', 'expected CycloneDX as JSON: components'],
    ['too many parts', JSON.stringify(cycloneDx(...Array.from({ length: 20_001 }, () => ({})))), 'at most 20000 parts'],
  ])('is refused when it is %s', async (_, body, message) => {
    const { send } = await open(DENY);
    expect(await send('POST', SBOM, body)).toMatchObject({ status: 400, text: expect.stringContaining(message) });
  });

  it('may nest without end, and has no patterns in it', () => {
    let deep: object = part('pkg:npm/deepest@1.0.0');
    for (let depth = 0; depth < 200; depth += 1) deep = part(`pkg:npm/at-${depth}@1.0.0`, { components: [deep] });
    expect(readBill(cycloneDx(deep)).parts).toHaveLength(16);
    const depth = 200_000;
    const deepest = `${'{"components":['.repeat(depth)}${']}'.repeat(depth)}`;
    const bottomless: unknown = JSON.parse(`{"bomFormat":"CycloneDX","components":[${deepest}]}`);
    expect(readBill(bottomless).parts).toEqual([]);
    expect(readBill(cycloneDx(part('pkg:npm/a*@1.0.0'))).parts).toMatchObject([{ name: 'a*' }]);
    expect(readBill(cycloneDx(part('pkg:npm/%zz@1'))).unnamed).toEqual(['pkg:npm/%zz@1']);
  });

  it('is checked on the command line, which says by its exit code whether it would be let in', async () => {
    const { url, folder } = await open(DENY);
    const run = async (bill: object) => {
      writeFileSync(join(folder, 'bill.json'), JSON.stringify(bill));
      const process = new TestProcess(folder);
      const code = await process.run('check', 'bill.json', '--server', url);
      return { code, output: process.output };
    };
    expect(await run(cycloneDx(part('pkg:npm/demo@2.0.0'), part('pkg:npm/demo@1.0.0')))).toEqual({
      code: 3,
      output: [
        'deny  npm  pkg:npm/demo@2.0.0  it is broken (rule not-two)',
        'allow  npm  pkg:npm/demo@1.0.0  CVE-1 (high, fixed in 1.0.1)',
        '2 components were judged; policy refuses 1 of them',
      ],
    });
    expect(await run(cycloneDx())).toEqual({ code: 0, output: ['0 components were judged; policy refuses 0 of them'] });
  });
});
