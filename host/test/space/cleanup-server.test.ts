import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { packTar } from '@entrepot/core/testing';
import { describe, expect, it } from 'vitest';
import { ConfigurationError } from '../../src/config/configuration-error.js';
import { TestProcess } from '../cli/test-context.js';
import { serve, type PolicyServer } from '../policy/support.js';

const TOKEN = 'a-token-of-some-length';
const ADMIN = { authorization: `Bearer ${TOKEN}` };
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const CONFIGURATION = `
admin: { token: "\${env:ADMIN}" }
repositories:
  charts:
    type: helm
    kind: hosted
    cleanup: { rules: [{ keepVersions: 2 }, { prereleasesOlderThan: 1ms }] }
  images: { type: oci, kind: hosted, cleanup: { rules: [{ names: ["team/*"], versions: ["build-*"], keepVersions: 1 }] } }
  uploads: { type: files, kind: hosted, cleanup: { rules: [{ notDownloadedFor: 90d }] } }
  other: { type: files, kind: hosted }
`;

interface Opened extends PolicyServer {
  /** The versions of the index, and the tags of an image. */
  listed(): Promise<readonly [charts: readonly string[], tags: readonly string[]]>;
  cleanup(form: unknown): Promise<{ readonly status: number; readonly reports: unknown; readonly text: string }>;
  run(...words: string[]): Promise<{ readonly code: number; readonly output: string; readonly errors: string }>;
}

/** A server with five versions of a chart, three builds of an image under a release, and a file. */
async function open(): Promise<Opened> {
  const server = await serve(CONFIGURATION, {}, { ADMIN: TOKEN });
  const { url, folder, get, send } = server;
  for (const version of ['1.0.0', '2.0.0', '3.0.0-rc.1', '3.0.0', '4.0.0-rc.1']) {
    const chart = `apiVersion: v2\nname: app\nversion: ${version}\n`;
    const body = gzipSync(packTar([{ name: 'app/Chart.yaml', content: chart }]));
    expect((await fetch(`${url}/charts/api/charts`, { method: 'POST', body })).status).toBe(201);
  }
  for (const tag of ['build-1', 'build-2', 'build-3', '1.0']) await pushImage(url, 'images/team/app', tag);
  expect((await fetch(`${url}/uploads/a.bin`, { method: 'PUT', body: 'a file' })).status).toBe(201);
  return {
    ...server,
    async listed() {
      const charts = (await get('/charts/api/charts/app')).json as { readonly version: string }[];
      const tags = JSON.parse((await get('/v2/images/team/app/tags/list')).text) as { readonly tags: string[] };
      return [charts.map(({ version }) => version), tags.tags];
    },
    async cleanup(form) {
      const { status, json, text } = await send('POST', '/-/api/v1/cleanup', form, ADMIN);
      return { status, text, reports: (json as { readonly reports?: unknown } | undefined)?.reports };
    },
    async run(...words) {
      const process = new TestProcess(folder);
      process.env = { ADMIN: TOKEN };
      const code = await process.run('cleanup', ...words, '--server', url);
      return { code, output: process.output.join('\n'), errors: process.errors.join('\n') };
    },
  };
}

async function pushImage(url: string, name: string, tag: string): Promise<void> {
  const digestOf = (bytes: string): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  const layer = `layer of ${tag}`;
  const pushed = await fetch(`${url}/v2/${name}/blobs/uploads/?digest=${digestOf(layer)}`, {
    method: 'POST',
    body: layer,
  });
  expect(pushed.status).toBe(201);
  const layers = [{ mediaType: 'text/plain', digest: digestOf(layer), size: layer.length }];
  const request = {
    method: 'PUT',
    headers: { 'content-type': MANIFEST },
    body: JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, layers }),
  };
  expect((await fetch(`${url}/v2/${name}/manifests/${tag}`, request)).status).toBe(201);
}

const ALL = [
  ['4.0.0-rc.1', '3.0.0', '3.0.0-rc.1', '2.0.0', '1.0.0'],
  ['1.0', 'build-1', 'build-2', 'build-3'],
] as const;

describe('cleanup at a server', () => {
  it('removes by the API what the rules say, and nothing in a dry run', async () => {
    const { listed, cleanup } = await open();
    expect(await listed()).toEqual(ALL);
    const counts = [
      { repository: 'charts', looked: 5, removed: 4, kept: 1, rules: [{ removed: 3 }, { removed: 1 }] },
      { repository: 'images', looked: 4, removed: 2, kept: 2 },
      { repository: 'uploads', looked: 1, removed: 0, kept: 1 },
    ];
    const planned = await cleanup({ dryRun: true });
    expect(planned).toMatchObject({ status: 200, reports: counts.map((one) => ({ ...one, dryRun: true })) });
    expect(await listed()).toEqual(ALL);

    expect(await cleanup({ repository: 'images', dryRun: false })).toMatchObject({ status: 200, reports: [counts[1]] });
    expect(await listed()).toEqual([ALL[0], ['1.0', 'build-3']]);
    expect(await cleanup({ dryRun: false })).toMatchObject({
      reports: [counts[0], { looked: 2, removed: 0 }, counts[2]],
    });
    expect(await listed()).toEqual([['3.0.0'], ['1.0', 'build-3']]);
  });

  it('is for administrators, who say what they mean', async () => {
    const { send, get, cleanup, listed } = await open();
    expect((await send('POST', '/-/api/v1/cleanup', { dryRun: false })).status).toBe(401);
    for (const [form, expected] of [
      [{}, 'dryRun: expected true or false'],
      ['', 'Body: expected application/json, found none'],
      [{ dryRun: 'yes' }, 'dryRun: expected true or false'],
      [{ dryRun: false, repository: 5 }, 'repository: expected a text'],
      [{ dryRun: false, repo: 'charts' }, 'repo: unknown key'],
    ] as const) {
      const { status, text } = await cleanup(form);
      expect([status, text.trim()]).toEqual([400, expect.stringContaining(expected)]);
    }
    expect((await cleanup({ dryRun: false, repository: 'other' })).status).toBe(404);
    expect((await get('/-/api/v1/cleanup/none', ADMIN)).status).toBe(404);
    expect(await listed()).toEqual(ALL);
  });

  it('is a command, too', async () => {
    const { run, listed } = await open();
    const planned = await run('images', '--dry-run');
    expect([planned.code, planned.errors]).toEqual([0, '']);
    expect(planned.output.split('\n')).toEqual([
      'would remove  images  team/app build-1  rule 1',
      'would remove  images  team/app build-2  rule 1',
      expect.stringMatching(/^images: looked at 4, would remove 2 \(\d+B\), would keep 2$/),
      '  rule 1 (names: team/*, versions: build-*, keepVersions: 1): 2',
    ]);
    expect(await listed()).toEqual(ALL);
    const done = await run();
    expect(done.code).toBe(0);
    expect(done.output).toContain('removed  charts  app 1.0.0  rule 1');
    expect(done.output).toContain('charts: looked at 5, removed 4');
    expect(await listed()).toEqual([['3.0.0'], ['1.0', 'build-3']]);
    expect(JSON.parse((await run('uploads', '--json')).output)).toMatchObject({
      reports: [{ repository: 'uploads', looked: 1, removed: 0, dryRun: false }],
    });
    expect(await run('other')).toMatchObject({ code: 1, errors: expect.stringContaining('No repository other') });
  });

  it('starts with no rule that the format cannot follow', async () => {
    const starting = serve(
      'repositories: { a: { type: files, kind: hosted, cleanup: { rules: [{ keepVersions: 1 }] } } }',
    );
    await expect(starting).rejects.toBeInstanceOf(ConfigurationError);
    await expect(starting).rejects.toMatchObject({
      problems: [
        {
          path: 'repositories.a.cleanup.rules.0.keepVersions',
          message: 'files knows no versions; remove it, and use notDownloadedFor',
        },
      ],
    });
  });
});
