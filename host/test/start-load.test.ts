import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { expect, it, onTestFinished } from 'vitest';

const MAIN = resolve(import.meta.dirname, '../dist/cli/main.js');
/** Says at the end what Node has loaded of itself. */
const TELL = "data:text/javascript,process.on('exit', () => console.error(JSON.stringify(process.moduleLoadList)))";
const UPSTREAM = 'https://registry.example.com';

/** Starts a server with a repository of each of `types`, asks whether it is ready, and stops it. @returns what Node has loaded */
async function loadedBy(types: readonly string[]): Promise<readonly string[]> {
  const cwd = mkdtempSync(join(tmpdir(), 'entrepot-load-'));
  onTestFinished(() => rmSync(cwd, { recursive: true, force: true }));
  const repositories = Object.fromEntries(types.map((type) => [type, { type, upstream: UPSTREAM }]));
  const configuration = { server: { listen: '127.0.0.1:0' }, repositories };
  writeFileSync(join(cwd, 'entrepot.yaml'), JSON.stringify(configuration));
  // A server knows its own variables alone, and refuses others of that form.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('ENTREPOT_')));
  const child = spawn(process.execPath, ['--import', TELL, MAIN, 'serve'], {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const told = text(child.stderr);
  for await (const line of createInterface({ input: child.stdout })) {
    const { msg, listen } = JSON.parse(line) as { readonly msg: string; readonly listen?: readonly string[] };
    if (msg !== 'serving' || listen === undefined) continue;
    expect((await fetch(`${listen[0]}/-/readyz`)).status).toBe(200);
    child.kill('SIGTERM');
    child.stdout.resume();
    break;
  }
  await once(child, 'close');
  return JSON.parse(await told) as string[];
}

it("does not load Node's own fetch before somebody needs it", { timeout: 60_000 }, async () => {
  const loaded = await loadedBy(['npm', 'pypi', 'go', 'oci', 'helm', 'files']);
  expect(loaded).toContain('NativeModule http');
  expect(loaded).not.toContain('NativeModule internal/deps/undici/undici');
});
