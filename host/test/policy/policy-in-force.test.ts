import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { silentLogger } from '@entrepot/core';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.js';
import { checkConfiguration } from '../../src/create-host.js';
import { serve, until } from './support.js';

const TARBALL = '/npm/demo/-/demo-2.0.0.tgz';
const DENY = '{ id: not-two, match: { purl: ["pkg:npm/demo@2.0.0"] }, action: deny, reason: it is broken }';

describe('the policy of the configuration', () => {
  it('leaves versions out, and refuses their artifacts with the reason', async () => {
    const { get } = await serve(`policy: { rules: [${DENY}] }`);
    const document = await get('/npm/demo');
    expect(Object.keys(document.json.versions)).toEqual(['1.0.0']);
    expect(document.json['dist-tags']).toEqual({ latest: '1.0.0' });
    expect(await get(TARBALL)).toMatchObject({ status: 403, json: { error: expect.stringContaining('rule not-two') } });
    expect((await get('/npm/demo/-/demo-1.0.0.tgz')).status).toBe(200);
  });

  it('is off in a repository that says so, and only watched in audit', async () => {
    const off = await serve(`policy: { mode: audit, rules: [${DENY}] }`);
    expect((await off.get(TARBALL)).status).toBe(200);
    const one = await serve(`policy: { rules: [${DENY}] }`, {}, { ENTREPOT_REPOSITORIES_NPM_POLICY_MODE: 'off' });
    expect((await one.get(TARBALL)).status).toBe(200);
  });

  it('starts from a preset, another one where a repository says so', async () => {
    const held = await serve('policy: { preset: balanced }');
    expect((await held.get(TARBALL)).json.error).toContain('cooldown');
    const open = await serve('policy: { preset: balanced }', {}, { ENTREPOT_REPOSITORIES_NPM_POLICY_PRESET: 'airgap' });
    expect((await open.get(TARBALL)).status).toBe(200);
  });

  it('is read again when its file changes, and stays as it was when the file is not valid', async () => {
    const { get, folder } = await serve('policy: { file: policy.yaml }', {
      'policy.yaml': 'version: 1\nrules: []\n',
    });
    const file = join(folder, 'policy.yaml');
    function write(text: string): void {
      writeFileSync(`${file}.new`, text);
      renameSync(`${file}.new`, file);
    }
    expect((await get(TARBALL)).status).toBe(200);
    write(`version: 1\nrules:\n  - ${DENY}\n`);
    await until(async () => (await get(TARBALL)).status === 403);
    write('version: 1\nrules: [{ id: x, acton: deny }]\n');
    await until(async () => (await get('/metrics')).text.includes('\nentrepot_policy_file_invalid 1\n'));
    expect((await get(TARBALL)).status).toBe(403);
    write('version: 1\nrules: []\n');
    await until(async () => (await get(TARBALL)).status === 200);
    expect((await get('/metrics')).text).toContain('\nentrepot_policy_file_invalid 0\n');
  });
});

describe('a configuration', () => {
  async function problems(configuration: string, env: Readonly<Record<string, string>> = {}) {
    const { mkdtempSync } = await import('node:fs');
    const { tmpdir } = await import('node:os');
    const cwd = mkdtempSync(join(tmpdir(), 'entrepot-policy-'));
    writeFileSync(
      join(cwd, 'entrepot.yaml'),
      `repositories: { files: { type: files, upstream: "https://registry.example.com" } }\n${configuration}`,
    );
    try {
      const loaded = await loadConfig({ env, cwd });
      return (await checkConfiguration(loaded, { logger: silentLogger })).problems.map(
        ({ path, message }) => `${path}: ${message}`,
      );
    } catch (error) {
      return (error as { problems: { path: string; message: string }[] }).problems.map(
        ({ path, message }) => `${path}: ${message}`,
      );
    }
  }

  it.each([
    ['policy: { rules: [{ id: a, acton: deny }] }', 'policy: rules[0].acton: unknown key'],
    ['policy: { rules: [{ id: a, action: deny, when: { cel: "1 +" } }] }', 'policy: rules[0].when.cel: '],
    ['policy: { rules: [{ id: a, action: deny, when: { age: { lt: soon } } }] }', 'policy: rules[0].when.age.lt: '],
    ['policy: { file: nowhere.yaml }', 'there is no such file'],
    ['policy: { file: a.yaml, rules: [] }', 'expected either file, or defaults and rules here'],
    ['policy: { preset: brave }', 'policy.preset: expected observe, balanced, strict or airgap'],
    [
      'policy: { webhooks: [{ url: "https://example.com/x", secret: "0123456789abcdef" }] }',
      'policy.webhooks.0.secret: expected ${env:NAME}',
    ],
    ['admin: { token: "0123456789abcdef" }', 'admin.token: expected ${env:NAME}'],
    [
      'scanners: [{ type: sov }]',
      'scanners.0.type: unknown type "sov"; did you mean osv? known types: osv, trivy, grype',
    ],
    ['scanners: [{ type: trivy, comand: x }]', 'scanners.0.comand: unknown key; did you mean command?'],
    ['scanners: [{ type: trivy }, { type: trivy }]', 'scanners.1.name: there is a scanner trivy already'],
    ['scanners: [{ type: "@entrepot/plugin-files" }]', 'scanners.0.type: '],
  ])('is refused: %s', async (configuration, expected) => {
    expect(await problems(configuration)).toEqual(expect.arrayContaining([expect.stringContaining(expected)]));
  });

  it('is refused where a repository differs from a policy that there is not', async () => {
    const found = await problems('', { ENTREPOT_REPOSITORIES_FILES_POLICY_MODE: 'off' });
    expect(found).toEqual([expect.stringContaining('repositories.files.policy: expected the section policy')]);
  });
});
