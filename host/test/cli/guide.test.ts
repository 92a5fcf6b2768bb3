import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { silentLogger } from '@entrepot/core';
import { createHost } from '../../src/create-host.js';
import { TestProcess } from './test-context.js';

let cwd: string;
let terminal: TestProcess;

beforeEach(() => {
  cwd = mkdtempSync(path.join(tmpdir(), 'entrepot-guide-'));
  terminal = new TestProcess(cwd);
  terminal.isTerminal = true;
});

afterEach(() => {
  rmSync(cwd, { recursive: true, force: true });
});

async function said(yaml: string): Promise<string> {
  writeFileSync(path.join(cwd, 'entrepot.yaml'), yaml);
  const code = terminal.run('serve');
  while (terminal.output.length === 0 && terminal.errors.length === 0) await new Promise((done) => setImmediate(done));
  terminal.signals.emit('signal', 'SIGTERM');
  expect(await code).toBe(0);
  return terminal.output.join('\n');
}

it('tells a person the URL of the page and one line for each client', async () => {
  terminal.createHost = (loaded) => createHost(loaded, { logger: silentLogger });
  const text = await said(`
server: { listen: 127.0.0.1:0 }
repositories:
  npm: { type: npm, upstream: https://registry.example.com }
  python: { type: pypi, upstream: https://python.example.com }
  images: { type: oci, upstream: https://images.example.com }
  alone: { type: files, kind: hosted, listen: 127.0.0.1:0 }
`);
  const page = /All settings for each client: (http:\/\/127\.0\.0\.1:\d+)\/$/m.exec(text)?.[1];
  expect(text).toContain(`  npm config set registry ${page}/npm/`);
  expect(text).toContain(`  pip config set global.index-url ${page}/python/simple/`);
  expect(text).toContain(`  docker pull ${page?.slice('http://'.length)}/images/`);
  expect(text).toMatch(/curl --fail --upload-file \.\/file http:\/\/127\.0\.0\.1:\d+\/alone\/path\/to\/file/);
  expect(text).not.toContain('[install]');
});

it('says what to do where nothing is served yet', async () => {
  expect(await said('repositories: {}')).toContain('entrepot init');
});

it.each([
  ['where no person reads', '{}', false],
  ['where JSON is asked for', 'log: { format: json }', true],
])('says nothing %s', async (_where, yaml, isTerminal) => {
  terminal.isTerminal = isTerminal;
  writeFileSync(path.join(cwd, 'entrepot.yaml'), yaml);
  const code = terminal.run('serve');
  await terminal.served();
  terminal.signals.emit('signal', 'SIGTERM');
  expect(await code).toBe(0);
  expect(terminal.output).toEqual([]);
});
