import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createHost } from '../../src/create-host.js';
import { TestProcess } from './test-context.js';

let cwd: string;
let terminal: TestProcess;

beforeEach(() => {
  cwd = mkdtempSync(path.join(tmpdir(), 'entrepot-index-'));
  terminal = new TestProcess(cwd);
  terminal.createHost = createHost;
});

afterEach(() => rmSync(cwd, { recursive: true, force: true }));

function configure(repositories: Record<string, unknown>): void {
  const paths = { storage: { path: path.join(cwd, 'blobs') }, metadata: { path: path.join(cwd, 'entrepot.db') } };
  writeFileSync(path.join(cwd, 'entrepot.yaml'), JSON.stringify({ ...paths, repositories }));
}

describe('entrepot gen-index', () => {
  it('prints the index of a repository that nobody may read without a password', async () => {
    configure({
      charts: { type: 'helm', kind: 'hosted', depth: 1, mount: '/below/charts', access: { anonymous: 'none' } },
      other: { type: 'helm', kind: 'hosted' },
    });
    expect(await terminal.run('gen-index', 'charts', '--tenant', 'team one')).toBe(0);
    expect(terminal.output).toEqual(['apiVersion: v1', 'entries: {}', 'serverInfo:', '  contextPath: "/below/charts"']);
    expect(await terminal.run('gen-index', 'charts')).toBe(1);
    expect(terminal.errors).toEqual(['entrepot: {"error":"not found"}']);
  });

  it.each(['none', 'proxied', 'files'])('says when a repository has none: %s', async (name) => {
    configure({
      proxied: { type: 'helm', upstream: 'https://charts.example.com' },
      files: { type: 'files', kind: 'hosted' },
    });
    expect(await terminal.run('gen-index', name)).toBe(1);
    const expected = `entrepot: "${name}" is not a hosted repository of type helm; the configuration has none`;
    expect(terminal.errors).toEqual([expected]);
  });
});
