import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger, type Logger } from '@entrepot/core';
import { onTestFinished } from 'vitest';
import { loadConfig, type LoadedConfig } from '../src/config/load.js';
import { createHost } from '../src/create-host.js';
import { listenOnLoopback } from './local-server.js';

/** A server that reads its configuration again, in a folder of its own. */
export async function serve(configuration: string, logger: Logger = silentLogger, files: Record<string, string> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'entrepot-reload-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const load = (text: string): Promise<LoadedConfig> => {
    writeFileSync(join(folder, 'entrepot.yaml'), text);
    return loadConfig({ env: {}, cwd: folder });
  };
  const host = await createHost(await load(configuration), { logger });
  onTestFinished(() => host.close());
  const [main] = await host.listen();
  const reload = async (text: string): Promise<void> => (await host.prepare(await load(text))).apply();
  return { host, url: main?.url ?? '', load, reload };
}

export const LISTEN = 'server: { listen: "127.0.0.1:0" }\n';
export const NOTHING = `${LISTEN}repositories: {}`;

export async function upstream(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(answer);
  return await listenOnLoopback(server);
}

export async function statusOf(url: string, init?: RequestInit): Promise<number> {
  const answer = await fetch(url, init);
  await answer.arrayBuffer();
  return answer.status;
}

export async function problemsOf(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => undefined,
    (error: { problems?: unknown }) => error.problems ?? error,
  );
}
