import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@entrepot/core';
import { onTestFinished } from 'vitest';
import { loadConfig } from '../../src/config/load.js';
import { createHost } from '../../src/create-host.js';
import { openSqlite } from '../../src/drivers/sql/sqlite.js';
import type { SqlDatabase } from '../../src/drivers/sql/sql-database.js';
import { freePort } from '../free-port.js';
import { listenOnLoopback } from '../local-server.js';

export const SECRET = 'the secret of a cluster, for tests';

/** An upstream whose answers the test writes. */
export interface Upstream {
  readonly url: string;
  /** The paths that were asked for, with `Range` where one was. */
  readonly asked: string[];
}

export async function startUpstream(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<Upstream> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push([request.url, request.headers.range].filter((part) => part !== undefined).join(' '));
    answer(request, response);
  });
  return { url: await listenOnLoopback(server), asked };
}

/** Servers over one folder and one database. */
export interface TestCluster {
  readonly origins: readonly string[];
  /** The URLs of the repository `files`, one a server. */
  readonly urls: readonly string[];
  /** The database, as a tool beside the servers sees it. */
  readonly database: SqlDatabase;
}

/** Starts servers of one cluster. `*.txt` never changes, everything else may. */
export async function startCluster(upstream: string, size = 3): Promise<TestCluster> {
  const folder = mkdtempSync(join(tmpdir(), 'entrepot-cluster-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const origins: string[] = [];
  for (let index = 0; index < size; index += 1) {
    const own = join(folder, `${index}`);
    mkdirSync(own);
    const port = await freePort();
    const configuration = {
      storage: { path: join(folder, 'blobs'), spool: { path: join(own, 'spool') } },
      metadata: { path: join(folder, 'entrepot.db') },
      cluster: { secret: '${env:CLUSTER_SECRET}', listen: `127.0.0.1:${port}`, advertise: `http://127.0.0.1:${port}` },
      repositories: {
        images: { type: 'oci', kind: 'hosted' },
        files: {
          type: 'files',
          upstream,
          rules: [
            { match: '**.txt', policy: 'immutable' },
            { match: '**', policy: 'revalidate', freshFor: '0s' },
          ],
        },
      },
    };
    writeFileSync(join(own, 'entrepot.yaml'), JSON.stringify(configuration));
    const loaded = await loadConfig({
      env: { ENTREPOT_SERVER_LISTEN: '127.0.0.1:0', CLUSTER_SECRET: SECRET },
      cwd: own,
    });
    const host = await createHost(loaded, { logger: silentLogger });
    onTestFinished(() => host.close());
    const [listener] = await host.listen();
    origins.push(`${listener?.url}`);
  }
  const database = await openSqlite({ path: join(folder, 'entrepot.db'), durability: 'relaxed' });
  onTestFinished(() => database.destroy());
  return { origins, urls: origins.map((origin) => `${origin}/files`), database };
}

/** The metric of a server that has this name and these labels; 0 where it has none. */
async function metricOf(origin: string, series: string): Promise<number> {
  const text = await (await fetch(`${origin}/metrics`)).text();
  const line = text.split('\n').find((one) => one.startsWith(`${series} `));
  return Number(line?.slice(series.length + 1) ?? 0);
}

/** The number of fetches that servers have found another one to do. */
export async function followedBy(origins: readonly string[]): Promise<number> {
  const counts = origins.map((origin) => metricOf(origin, 'entrepot_cluster_fetches_total{role="followed"}'));
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

/** The bytes of running fetches that a server has on disk. */
export async function spooledBy(origin: string): Promise<number> {
  return await metricOf(origin, 'entrepot_spool_bytes');
}
