import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpRequest, Agent, type RequestOptions } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { silentLogger } from '@entrepot/core';
import { onTestFinished } from 'vitest';
import { loadConfig } from '../../src/config/load.js';
import { createHost } from '../../src/create-host.js';

/** A server for one test. */
export interface TestHost {
  readonly urls: readonly string[];
  readonly folder: string;
  get(path: string, authorization?: string, init?: RequestInit): Promise<TestAnswer>;
}

export interface TestAnswer {
  readonly status: number;
  readonly text: string;
  readonly challenge: string | null;
}

/** A folder for one test. */
export function testFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'entrepot-access-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Starts a server with a configuration and `files` beside it. */
export async function startHost(
  yaml: string,
  files: Readonly<Record<string, string>> = {},
  env: Readonly<Record<string, string>> = {},
): Promise<TestHost> {
  const folder = testFolder();
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  writeFileSync(join(folder, 'entrepot.yaml'), yaml);
  const loaded = await loadConfig({ env: { ENTREPOT_SERVER_LISTEN: '127.0.0.1:0', ...env }, cwd: folder });
  const host = await createHost(loaded, { logger: silentLogger });
  onTestFinished(() => host.close());
  const urls = (await host.listen()).map(({ url }) => url);
  return {
    urls,
    folder,
    async get(path, authorization, init = {}) {
      const headers = authorization === undefined ? {} : { authorization };
      const answer = await fetch(urls[0] + path, { ...init, headers: { ...headers, ...init.headers } });
      return { status: answer.status, text: await answer.text(), challenge: answer.headers.get('www-authenticate') };
    },
  };
}

export function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

/** Sends requests one after another on one connection, and says how many connections it took. */
export async function onOneConnection(
  url: string,
  requests: readonly (RequestOptions & { readonly path: string; readonly body?: string })[],
): Promise<{ readonly answers: { readonly status: number; readonly text: string }[]; readonly connections: number }> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const sockets = new Set<unknown>();
  const answers: { status: number; text: string }[] = [];
  try {
    for (const { path, body, ...options } of requests) {
      answers.push(
        await new Promise((resolve, reject) => {
          const request = httpRequest(url + path, { ...options, agent }, async (response) => {
            resolve({ status: response.statusCode ?? 0, text: await text(response) });
          });
          request.on('error', reject).on('socket', (socket) => sockets.add(socket));
          if (options.headers !== undefined && 'expect' in options.headers) {
            request.flushHeaders();
            request.on('continue', () => request.end(body));
          } else request.end(body);
        }),
      );
    }
  } finally {
    agent.destroy();
  }
  return { answers, connections: sockets.size };
}
