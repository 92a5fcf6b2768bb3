import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkConfiguration } from '../../src/create-host.js';
import { TestProcess } from './test-context.js';

let cwd: string;
let terminal: TestProcess;

beforeEach(() => {
  cwd = mkdtempSync(path.join(tmpdir(), 'entrepot-whole-'));
  terminal = new TestProcess(cwd);
  terminal.checkConfiguration = checkConfiguration;
});

afterEach(() => {
  rmSync(cwd, { recursive: true, force: true });
});

async function problemsOf(yaml: string, command = 'validate'): Promise<string[]> {
  writeFileSync(path.join(cwd, 'entrepot.yaml'), yaml);
  expect(await terminal.run(command)).toBe(command === 'doctor' ? 1 : 78);
  return command === 'doctor' ? terminal.output : terminal.errors;
}

describe('everything that is wrong is said at once', () => {
  it('also what plugins say of their options beside a common key that is misspelt', async () => {
    const problems = await problemsOf(`
server: { listn: 127.0.0.1:8080 }
repositories:
  npm: { type: npm, upstraem: https://registry.example.com, upstream: https://registry.example.com }
  files: { type: files, upstream: https://files.example.com, rules: [{ match: 'x', policy: immutabel }] }
  other: { type: pypy, upstream: https://python.example.com }
`);
    expect(problems).toEqual([
      'server.listn: unknown key; did you mean listen?',
      'repositories.npm.upstraem: unknown key; did you mean upstream?',
      expect.stringMatching(/^repositories\.files\.rules\.0\.policy: expected .*; did you mean immutable\?$/),
      expect.stringMatching(/^repositories\.other\.type: unknown type "pypy"; did you mean pypi\? known types: /),
    ]);
  });

  it('also of policy and scanners beside values that are not known', async () => {
    const problems = await problemsOf(`
repositories: { npm: { type: npm, upstream: https://registry.example.com } }
policy: { preset: ballanced, mode: enforced, rules: [{ id: a, action: dney }, { id: b, when: { malicous: true } }] }
scanners: [{ type: osv, from: ${cwd}/none, directory: ${cwd}/database, ecosytems: [npm], updateInterval: never }, { type: ovs }]
`);
    expect(problems).toEqual([
      'policy.preset: expected observe, balanced, strict or airgap; did you mean balanced?',
      'policy.mode: expected off, audit or enforce; did you mean enforce?',
      expect.stringMatching(/^scanners\.0\.updateInterval: expected a duration/),
      'scanners.0.ecosytems: unknown key; did you mean ecosystems?',
      'scanners.0.from: expected a folder with OSV dumps or the URL of a mirror; there is no such folder, and no database yet',
      expect.stringMatching(/^scanners\.1\.type: unknown type "ovs"; did you mean osv\? /),
      expect.stringMatching(/rules\[0\]\.action: expected one of .*; did you mean deny\?$/),
      expect.stringMatching(/rules\[1\]\.when\.malicous: unknown key; did you mean malicious\?$/),
    ]);
  });

  it('also the keys of a driver that there is not', async () => {
    expect(
      await problemsOf(`
storage: { backend: ftp, host: b }
cache: { backend: memcached, servers: x }
repositories: { npm: { type: npm, upstream: https://registry.example.com, audit: forwrad } }
`),
    ).toEqual([
      expect.stringMatching(/^cache\.backend: expected memory/),
      expect.stringMatching(/^cache\.servers: unknown key; known here: backend, /),
      'repositories.npm.audit: expected forward or off; did you mean forward?',
      // Its keys are those of a plugin, perhaps.
      expect.stringMatching(/^storage\.backend: unknown backend "ftp"; known types: filesystem, s3, /),
    ]);
  });

  it('says of no value twice what is wrong with it', async () => {
    const problems = await problemsOf(`
server: 5
policy: { mode: enforce }
repositories:
  a: { type: files, upstream: ftp://files.example.com }
  b: { upstream: https://registry.example.com }
  c: { type: npm, upstreams: [{ uri: x }] }
`);
    expect(problems.map((line) => line.split(': ', 1)[0])).toEqual([
      'server',
      'repositories.a.upstream',
      'repositories.b.type',
      'repositories.c.upstreams.0.url',
      'repositories.c.upstreams.0.uri',
    ]);
  });

  it.each(['serve', 'scan-worker', 'doctor'])('to whoever runs %s', async (command) => {
    const problems = await problemsOf(
      'log: { level: inof }\nrepositories: { a: { type: npm, upstream: "https://registry.example.com", audit: of } }',
      command,
    );
    expect(problems.map((line) => line.replace(/^fail +configuration +/, ''))).toEqual([
      'log.level: expected debug, info, warn, error or silent; did you mean info?',
      'repositories.a.audit: expected forward or off; did you mean off?',
    ]);
    expect(terminal.events).not.toContain('listen');
  });
});
