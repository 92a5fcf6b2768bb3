import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@entrepot/core';
import { onTestFinished } from 'vitest';
import { loadConfig } from '../../src/config/load.js';
import { createHost } from '../../src/create-host.js';
import type { Operation } from '../../src/http/operations/operation.js';
import { basic } from '../access/server.js';
import { npmUpstream } from '../policy/support.js';

const ADMIN_TOKEN = 'a-token-of-some-length';
const METRICS_TOKEN = 'another-token-of-some-length';
const ACCESS =
  'access: { anonymous: none, users: { reader: { password: "${env:READER}" }, writer: { password: "${env:WRITER}", may: write } } }';

/** The `Authorization` of each role. */
export const ROLES = {
  anonymous: undefined,
  stranger: 'Bearer something-else',
  reader: basic('reader', 'of reader'),
  writer: basic('writer', 'of writer'),
  'administrator by name': basic('boss', 'of boss'),
  'administrator by token': `Bearer ${ADMIN_TOKEN}`,
  'reader of metrics': `Bearer ${METRICS_TOKEN}`,
} as const;

/** A caller of `ROLES`. */
export type Role = keyof typeof ROLES;

const SCANNER = `
export default {
  kind: 'scanner', apiVersion: 1, id: 'own', inject: {},
  options: { '~standard': { version: 1, vendor: 'own', validate: (value) => ({ value }) } },
  create: () => ({
    subjects: { ecosystems: ['npm'] }, needs: 'coordinates', revision: () => '1', check: async () => {},
    lookup: ({ version }) => (version === '2.0.0'
      ? [{ id: 'CVE-1', aliases: ['GHSA-1'], severity: 'high', fixedIn: [], source: 'own' }] : []),
    scan: async () => { throw new Error('it is looked up'); },
    answer: () => ({ status: 200, mediaType: 'application/json', body: '{}' }),
  }),
};`;

/** A server that has every operation, guarded in every way. */
export interface WholeServer {
  readonly url: string;
  readonly ask: (method: string, path: string, role: Role, body?: unknown) => Promise<Response>;
}

/** Starts a server with every operation. @param more YAML */
export async function openWholeServer(more = ''): Promise<WholeServer> {
  const folder = mkdtempSync(join(tmpdir(), 'entrepot-api-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'own.mjs'), SCANNER);
  writeFileSync(
    join(folder, 'entrepot.yaml'),
    `admin: { token: "\${env:ADMIN}", users: { boss: { password: "\${env:BOSS}" } } }
metrics: { token: "\${env:METRICS}" }
policy: { rules: [{ id: not-two, match: { purl: ["pkg:npm/demo@2.0.0"] }, action: deny, reason: it is broken }] }
scanners: [{ type: ./own.mjs }]
repositories:
  npm: { type: npm, upstream: "${await npmUpstream()}", ${ACCESS} }
  uploads: { type: files, kind: hosted, ${ACCESS} }
  images: { type: oci, kind: hosted, ${ACCESS} }
${more}`,
  );
  const env = {
    ENTREPOT_SERVER_LISTEN: '127.0.0.1:0',
    ADMIN: ADMIN_TOKEN,
    METRICS: METRICS_TOKEN,
    READER: 'of reader',
    WRITER: 'of writer',
    BOSS: 'of boss',
  };
  const reload = async () => ({ applied: true, changes: [], problems: [] });
  const host = await createHost(await loadConfig({ env, cwd: folder }), { logger: silentLogger, reload });
  onTestFinished(() => host.close());
  const [{ url }] = (await host.listen()) as [{ url: string }];
  return {
    url,
    ask: (method, path, role, body) => {
      const authorization = ROLES[role];
      return fetch(url + path, {
        method,
        headers: {
          ...(authorization !== undefined && { authorization }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
    },
  };
}

const VALUES: Readonly<Record<string, string>> = {
  purl: 'pkg:npm/demo@2.0.0',
  type: 'npm',
  name: 'demo',
  version: '2.0.0',
};

/** A path of an operation, with values for its parameters and for what its query must have. */
export function pathOf({ path, query }: Operation): string {
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(VALUES[name] ?? 'none'));
  if (query === undefined || query === 'ignored' || !('purl' in query.shape)) return filled;
  return `${filled}?purl=${encodeURIComponent(VALUES['purl'] as string)}`;
}
