import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger, type LogFields } from '@entrepot/core';
import { FakeUpstream } from '@entrepot/core/testing';
import { onTestFinished } from 'vitest';
import { loadConfig } from '../../src/config/load.js';
import { createHost } from '../../src/create-host.js';

export const TOKEN = 'a-token-of-some-length';
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';

/** An upstream for npm, images and files. */
export interface Upstream {
  readonly fake: FakeUpstream;
  /** Serves a package with these versions; the text is part of the document. */
  putPackage(name: string, versions: readonly string[], text?: string): void;
  /** Serves an image with a tag. */
  putImage(name: string, tag: string, text: string): void;
}

export async function openUpstream(): Promise<Upstream> {
  const fake = await FakeUpstream.start();
  onTestFinished(() => fake.close());
  return {
    fake,
    putPackage(name, versions, text = '') {
      const base = fake.url;
      const entries = versions.map((version) => {
        const path = `/${name}/-/${name}-${version}.tgz`;
        const body = `the tarball of ${name} ${version}`;
        fake.serve(path, { body });
        const integrity = `sha512-${createHash('sha512').update(body).digest('base64')}`;
        fake.serve(`/${name}/${version}`, { status: 404 });
        return [version, { name, version, description: text, dist: { tarball: base + path, integrity } }];
      });
      const document = { name, 'dist-tags': { latest: versions.at(-1) }, versions: Object.fromEntries(entries) };
      fake.serve(`/${name}`, { body: JSON.stringify(document), mediaType: 'application/json' });
    },
    putImage(name, tag, text) {
      const body = JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, layers: [], annotations: { text } });
      const digest = `sha256:${createHash('sha256').update(body).digest('hex')}`;
      const fixture = { body, mediaType: MANIFEST, headers: { 'docker-content-digest': digest } };
      for (const reference of [tag, digest]) fake.serve(`/v2/${name}/manifests/${reference}`, fixture);
    },
  };
}

export interface SpaceServer {
  readonly folder: string;
  /** Of the listeners, the server's own first. */
  readonly urls: readonly [string, ...string[]];
  /** The fields of what was logged with a message. */
  logged(message: string): readonly LogFields[];
  /** Asks for a path of the server's own listener, or a URL. */
  get(path: string): Promise<{ readonly status: number; readonly text: string; readonly cache: string }>;
  /** Asks the API. @param token `''`: without one */
  api<Answer = Record<string, unknown>>(
    method: string,
    path: string,
    body?: unknown,
    token?: string,
  ): Promise<{ readonly status: number; readonly text: string; readonly json: Answer }>;
}

/**
 * Starts a server.
 * @param repositories YAML
 * @param stores the folder of another server, to share its stores
 */
export async function openServer(repositories: string, stores?: string, more = ''): Promise<SpaceServer> {
  const folder = mkdtempSync(join(tmpdir(), 'entrepot-space-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const place = stores ?? folder;
  writeFileSync(
    join(folder, 'entrepot.yaml'),
    `admin: { token: "\${env:ADMIN}" }
metadata: { path: "${join(place, 'entrepot.db')}" }
storage: { path: "${join(place, 'blobs')}", durability: relaxed }
${more}
repositories:
${repositories}`,
  );
  const lines: (readonly [LogFields, string])[] = [];
  const note = (fields: LogFields, message: string): void => void lines.push([fields, message]);
  const loaded = await loadConfig({ env: { ENTREPOT_SERVER_LISTEN: '127.0.0.1:0', ADMIN: TOKEN }, cwd: folder });
  const host = await createHost(loaded, { logger: { ...silentLogger, info: note, warn: note } });
  onTestFinished(() => host.close());
  const urls = (await host.listen()).map(({ url }) => url) as [string, ...string[]];
  return {
    folder,
    urls,
    logged: (message) => lines.filter((line) => line[1] === message).map(([fields]) => fields),
    async get(path) {
      const answer = await fetch(new URL(path, urls[0]));
      const cache = answer.headers.get('x-cache') ?? '';
      return { status: answer.status, text: await answer.text(), cache };
    },
    async api(method, path, body, token = TOKEN) {
      const answer = await fetch(`${urls[0]}/-/api/v1${path}`, {
        method,
        headers: {
          ...(token !== '' && { authorization: `Bearer ${token}` }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const text = await answer.text();
      const isJson = answer.headers.get('content-type')?.includes('json') === true;
      const json = isJson ? JSON.parse(text) : undefined;
      return { status: answer.status, text: answer.ok ? text : json.detail, json };
    },
  };
}

/** Resolves when `check` holds; the test's own time limit ends it. */
export async function until(check: () => Promise<boolean>): Promise<void> {
  while (!(await check())) await new Promise((resolve) => setTimeout(resolve, 20));
}
