import { configurationChanges } from '../../src/config/changes.js';
import { loadConfig } from '../../src/config/load.js';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';

const ENV = {
  PASSWORD: 'hunter2-hunter2-hunter2',
  OTHER: 'swordfish-swordfish',
  KEY: 'k'.repeat(40),
  NEXT: 'kk'.repeat(40),
};

async function changes(before: string, after: string) {
  const folder = mkdtempSync(join(tmpdir(), 'entrepot-changes-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const read = async (text: string) => {
    writeFileSync(join(folder, 'entrepot.yaml'), text);
    return (await loadConfig({ env: ENV, cwd: folder })).config;
  };
  return configurationChanges(await read(before), await read(after));
}

describe('changes of a configuration', () => {
  it('are none where it says the same in other words', async () => {
    expect(await changes('{}', 'server: { drainTimeout: 30000ms, listen: "127.0.0.1:8080" }')).toEqual([]);
  });

  it('are one for each key, and one for a mapping that only one of them has', async () => {
    const found = await changes(
      'repositories: { a: { type: files, kind: hosted }, b: { type: files, kind: hosted } }',
      'repositories: { a: { type: files, kind: hosted, quota: 1MiB, mount: /x }, c: { type: files, kind: hosted } }',
    );
    expect(found.toSorted((one, other) => (one.key < other.key ? -1 : 1))).toEqual([
      { key: 'repositories.a.mount', change: 'added', to: '/x' },
      { key: 'repositories.a.quota', change: 'added', to: '1048576' },
      { key: 'repositories.b', change: 'removed' },
      { key: 'repositories.c', change: 'added' },
    ]);
  });

  it('tell no secret', async () => {
    const found = await changes(
      `
server: { tokenKey: "\${env:KEY}" }
metrics: { token: plain-secret-1 }
admin: { token: "\${env:OTHER}", users: { eve: { password: "\${env:OTHER}" } } }
policy: { preset: observe, webhooks: [{ url: "https://hooks.example.com/plain-secret-2", secret: "\${env:OTHER}" }] }
repositories:
  a: { type: npm, upstream: "https://user:plain-secret-3@registry.example.com/", access: { users: { eve: { password: "\${env:OTHER}" } } } }
  b: { type: npm, upstream: "https://registry.example.com/", auth: { token: plain-secret-4 } }
  c: { type: files, upstream: "https://files.example.com/", extra: plain-secret-5 }`,
      `
server: { tokenKey: "\${env:NEXT}" }
metrics: { token: plain-secret-6 }
admin: { token: "\${env:PASSWORD}", users: { eve: { password: "\${env:PASSWORD}" } } }
policy: { preset: observe, webhooks: [{ url: "https://hooks.example.com/plain-secret-7", secret: "\${env:PASSWORD}" }] }
repositories:
  a: { type: npm, upstream: "https://user:plain-secret-8@registry.example.com/", access: { users: { eve: { password: "\${env:PASSWORD}" } } } }
  b: { type: npm, upstream: "https://registry.example.com/", auth: { token: plain-secret-9 } }
  c: { type: files, upstream: "https://files.example.com/", extra: plain-secret-0 }`,
    );
    expect(found.length).toBeGreaterThan(8);
    expect(found.map(({ key }) => key)).toContain('repositories.c.extra');
    expect(JSON.stringify(found)).not.toMatch(/plain-secret|hunter2|swordfish|kkk/);
  });
});
