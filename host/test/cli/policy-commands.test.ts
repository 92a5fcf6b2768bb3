import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { serve, until } from '../policy/support.js';
import { TestProcess } from './test-context.js';

const TARBALL = '/npm/demo/-/demo-2.0.0.tgz';
const PURL = 'pkg:npm/demo@2.0.0';
const HOLD = '{ id: wait, match: { purl: ["pkg:npm/demo@2.0.0"] }, action: hold, reason: it is new }';

async function started(configuration: string) {
  const server = await serve(configuration, {}, { ADMIN: 'a-token-of-some-length' });
  const run = async (...words: string[]) => {
    const process = new TestProcess(server.folder);
    process.env = { ENTREPOT_ADMIN_TOKEN: 'a-token-of-some-length', ADMIN: 'a-token-of-some-length' };
    const code = await process.run(...words, '--server', server.url);
    return { code, output: process.output.join('\n'), errors: process.errors.join('\n') };
  };
  return { ...server, run };
}

describe('commands for a running server', () => {
  it('explain, except, release and trace', async () => {
    const { get, run, folder } = await started(`admin: { token: "\${env:ADMIN}" }\npolicy: { rules: [${HOLD}] }`);
    const refused = await get(TARBALL);
    const url = /See (\S+)/.exec(refused.json.error)?.[1] as string;
    expect((await run('explain', url)).output).toMatch(
      /^npm: pkg:npm\/demo@2\.0\.0: hold\n {2}wait \(hold\): fired: it is new/,
    );
    await until(async () => (await run('quarantine', 'list')).output !== '');
    expect((await run('quarantine', 'list')).output).toContain(`held  npm  ${PURL}  by wait`);
    const released = await run('quarantine', 'release', PURL, '--repository', 'npm', '--reason', 'seen', '--by', 'ann');
    expect(released).toEqual({ code: 0, output: `released ${PURL} in npm`, errors: '' });
    expect((await get(TARBALL)).status).toBe(200);
    const list = (await run('exceptions', 'list')).output;
    expect(list).toContain(`${PURL}  rules wait  by ann`);
    const [id = ''] = list.split(' ');
    expect((await run('exceptions', 'off', id)).output).toBe(`switched ${id} off`);
    expect((await get(TARBALL)).status).toBe(403);
    expect((await run('exceptions', 'list')).output).toContain('off, ends');
    expect((await run('exceptions', 'on', id)).output).toBe(`switched ${id} on`);
    expect((await get(TARBALL)).status).toBe(200);
    expect((await run('explain', 'pkg:npm/demo@7.0.0')).output).toContain('pkg:npm/demo@7.0.0: does not exist');
    expect((await run('exceptions', 'remove', id)).output).toBe(`removed ${id}`);
    expect((await get(TARBALL)).status).toBe(403);
    const added = await run(
      'exceptions',
      'add',
      '--purl',
      PURL,
      '--reason',
      'needed',
      '--expires',
      '1d',
      '--id',
      'mine',
    );
    expect(added.output).toBe('added mine');
    expect((await run('exceptions', 'list', '--active', '--ends-within', '2d')).output).toContain('mine');
    expect((await run('exceptions', 'list', '--kind', 'false-positive')).output).toBe('');
    const changed = await run('exceptions', 'change', 'mine', '--expires', '3d', '--ticket', 'T-1', '--by', 'bob');
    expect(changed.output).toMatch(/^changed mine: ends \S+Z, approved by bob$/);
    expect(JSON.parse((await run('exceptions', 'show', 'mine')).output)).toMatchObject({
      ticket: 'T-1',
      changes: [{ by: 'bob', ticket: '' }],
    });
    expect((await run('exceptions', 'change', 'mine')).errors).toContain('expected active, expires, reason or ticket');
    const shown = (await run('configuration')).output;
    expect(shown).toMatch(/^# \S+entrepot\.yaml/);
    expect(shown).toContain('token: (hidden)');
    expect(JSON.parse((await run('configuration', '--json')).output)).toHaveProperty('configuration.policy');
    expect((await run('impact', 'pkg:npm/demo')).output).toMatch(
      new RegExp(`^kept {2}npm {2}${PURL}.*\nserved {2}npm {2}${PURL}`),
    );
    expect((await run('impact', 'pkg:npm/demo', '--csv')).output).toContain('repository,purl,digest');
    expect((await run('impact', 'CVE-2026-1')).output).toBe('no stored copies and no downloads');
    expect((await run('exceptions', 'remove', 'mine')).code).toBe(0);
    writeFileSync(join(folder, 'candidate.yaml'), `version: 1\nrules:\n  - ${HOLD.replace('wait', 'later')}\n`);
    expect((await run('simulate', 'candidate.yaml')).output).toMatch(
      /^1 downloads were judged; the policy would refuse 1 of them\nhold {2}npm {2}.*rule later/,
    );
    expect((await run('quarantine', 'deny', PURL, '--repository', '*', '--reason', 'bad')).code).toBe(0);
    expect((await get(TARBALL)).status).toBe(403);
  });

  it('say what is wrong', async () => {
    const { run } = await started('admin: { token: "${env:ADMIN}" }\npolicy: { rules: [] }');
    expect(await run('exceptions', 'add', '--purl', PURL, '--reason', 'x', '--expires', '400d')).toMatchObject({
      code: 1,
      errors: 'entrepot: expires: expected at most 90d from now',
    });
    expect((await run('explain', 'demo')).errors).toBe(
      'entrepot: purl: expected a package URL such as pkg:npm/lodash@4.17.21',
    );
    const process = new TestProcess('/');
    expect(await process.run('explain', PURL, '--server', 'http://127.0.0.1:1')).toBe(1);
    expect(process.errors.join('')).toContain('no server answers at http://127.0.0.1:1');
  });
});

describe('policy', () => {
  it('shows presets, and what a configuration makes of one', async () => {
    const { folder } = await serve('policy: { preset: balanced, mode: audit }');
    const process = new TestProcess(folder);
    expect(await process.run('policy', 'show', 'strict')).toBe(0);
    expect(process.output.join('\n')).toContain('id: malware');
    expect(await process.run('policy', 'show', 'brave')).toBe(64);
    process.output.length = 0;
    expect(await process.run('policy', 'show')).toBe(0);
    expect(process.output.join('\n')).toMatch(/mode: audit[\s\S]*id: cooldown/);
  });

  it('is checked in a file', async () => {
    const { folder } = await serve('');
    const process = new TestProcess(folder);
    writeFileSync(join(folder, 'good.yaml'), 'version: 1\nrules: []\n');
    writeFileSync(join(folder, 'bad.yaml'), 'version: 1\nrules: [{ id: a, acton: deny }]\n');
    expect(await process.run('policy', 'check', 'good.yaml')).toBe(0);
    expect(await process.run('policy', 'check', 'bad.yaml')).toBe(78);
    expect(process.errors.join('\n')).toContain('rules[0].acton');
  });
});
