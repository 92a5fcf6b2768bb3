import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@entrepot/core';
import { onTestFinished } from 'vitest';
import { loadConfig } from '../../src/config/load.js';
import { createHost, type Host } from '../../src/create-host.js';
import { listenOnLoopback } from '../local-server.js';

const BYTES = Buffer.from('a tarball');
const INTEGRITY = `sha512-${createHash('sha512').update(BYTES).digest('base64')}`;
const OLD = '2020-01-01T00:00:00.000Z';

/** An upstream for npm that has `demo` in versions 1.0.0 and 2.0.0, the second as new as the test. */
export async function npmUpstream(): Promise<string> {
  const server = createServer((request, response) => {
    const base = `http://${request.headers.host}`;
    if (request.url?.endsWith('.tgz')) return response.setHeader('Content-Type', 'application/octet-stream').end(BYTES);
    if (request.url?.includes('/attestations/') === true)
      return response.setHeader('Content-Type', 'application/json').end('{"attestations":[]}');
    const version = (name: string) => ({
      name: 'demo',
      version: name,
      dist: { tarball: `${base}/demo/-/demo-${name}.tgz`, integrity: INTEGRITY },
    });
    response.setHeader('Content-Type', 'application/json').end(
      JSON.stringify({
        name: 'demo',
        'dist-tags': { latest: '2.0.0' },
        versions: { '1.0.0': version('1.0.0'), '2.0.0': version('2.0.0') },
        time: { '1.0.0': OLD, '2.0.0': new Date().toISOString() },
      }),
    );
  });
  return await listenOnLoopback(server);
}

/** A server for one test, in a folder of its own. */
export interface PolicyServer {
  readonly host: Host;
  readonly url: string;
  readonly folder: string;
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  send(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<Answer>;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into it
  readonly json: any;
  readonly headers: Headers;
}

/**
 * Serves an npm repository over `npmUpstream` with `configuration` beside it, or the repositories of that, where `{upstream}` is the
 * same. `files` are written beside the configuration. */
export async function serve(
  configuration: string,
  files: Readonly<Record<string, string>> = {},
  env: Readonly<Record<string, string>> = {},
): Promise<PolicyServer> {
  const upstream = await npmUpstream();
  const folder = mkdtempSync(join(tmpdir(), 'entrepot-policy-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const repositories = `repositories: { npm: { type: npm, upstream: "${upstream}" } }\n`;
  const hasOwn = /^repositories:/m.test(configuration);
  writeFileSync(
    join(folder, 'entrepot.yaml'),
    hasOwn ? configuration.replaceAll('{upstream}', upstream) : repositories + configuration,
  );
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  const loaded = await loadConfig({ env: { ENTREPOT_SERVER_LISTEN: '127.0.0.1:0', ...env }, cwd: folder });
  const host = await createHost(loaded, { logger: silentLogger });
  onTestFinished(() => host.close());
  const [{ url }] = (await host.listen()) as [{ url: string }];
  return { host, url, folder, get: (path, headers) => send('GET', path, undefined, headers), send };

  async function send(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    const sent = body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) };
    const type = body !== undefined && path.startsWith('/-/api/') && { 'content-type': 'application/json' };
    const answer = await fetch(url + path, { method, headers: { ...type, ...headers }, ...sent });
    const text = await answer.text();
    const isJson = answer.headers.get('content-type')?.includes('json') === true;
    return { status: answer.status, text, json: isJson ? JSON.parse(text) : undefined, headers: answer.headers };
  }
}

/** Resolves when `check` holds; the test's own time limit ends it. */
export async function until(check: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await check())) await new Promise((resolve) => setTimeout(resolve, 20));
}
