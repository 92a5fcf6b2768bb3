import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { expect, it, onTestFinished } from 'vitest';
import { freePort } from '../free-port.js';

const MAIN = path.resolve(import.meta.dirname, '../../dist/cli/main.js');

/** Starts a server on `port`, in a process of its own. @param upstreams of its repositories, by name */
async function serve(port: number, upstreams: Readonly<Record<string, string>>): Promise<void> {
  const cwd = mkdtempSync(path.join(tmpdir(), 'entrepot-loop-'));
  const repositories = Object.entries(upstreams).map(
    ([name, upstream]) => [name, { type: 'files', upstream }] as const,
  );
  const config = { server: { listen: `127.0.0.1:${port}` }, repositories: Object.fromEntries(repositories) };
  writeFileSync(path.join(cwd, 'entrepot.yaml'), JSON.stringify(config));
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('ENTREPOT_')));
  const child: ChildProcess = spawn(process.execPath, [MAIN], { cwd, env, stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(async () => {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    rmSync(cwd, { recursive: true, force: true });
  });
  for await (const line of createInterface({ input: child.stdout as NonNullable<typeof child.stdout> })) {
    if (line.includes('"msg":"serving"')) return;
  }
  throw new Error('the server did not start');
}

async function answer(port: number): Promise<{ readonly status: number; readonly text: string }> {
  const reply = await fetch(`http://127.0.0.1:${port}/files/a.txt`, { signal: AbortSignal.timeout(10_000) });
  return { status: reply.status, text: await reply.text() };
}

it('ends at once a request that comes back to its server, and says so', async () => {
  const port = await freePort();
  const base = `http://127.0.0.1:${port}`;
  await serve(port, { files: `${base}/other`, other: `${base}/files` });
  const { status, text } = await answer(port);
  expect(status).toBe(502);
  expect(text).toContain('answered 508: a loop, for it leads back to a server that the request came from');
});

it('ends at once a request that comes back by way of another server', async () => {
  const [one, other] = [await freePort(), await freePort()];
  await serve(one, { files: `http://127.0.0.1:${other}/files` });
  await serve(other, { files: `http://127.0.0.1:${one}/files` });
  const { status, text } = await answer(one);
  expect(status).toBe(502);
  expect(text).toContain('answered 502');
});
