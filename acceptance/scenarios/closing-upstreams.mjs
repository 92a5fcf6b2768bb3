import { strict as assert } from 'node:assert';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { get } from '@entrepot/fixtures/get';
import { withScratch } from '@entrepot/fixtures/scratch';
import { provideTool } from '@entrepot/fixtures/tools';
import { serveWithNginx, serveWithPython, writeSite } from '../servers/closing-origin.mjs';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { note } from '../tally.mjs';

/** @import { Wanted } from '../servers/closing-origin.mjs' */
/** @import { Tally } from '../tally.mjs' */

const CLIENTS = 32;

/**
 * Upstreams that close connections behind a reply, as stock servers do: everything arrives whole, and the server stays up.
 * @param {Tally} tally
 * @param {{ requests: number }} options of each kind of repository to each upstream
 */
export async function closingUpstreams(tally, { requests }) {
  await withScratch('closing', async (folder) => {
    const root = join(folder, 'site');
    const wanted = await writeSite(root, requests);
    const nginx = await provideTool('nginx');
    const python = await provideTool('python');
    /** @type {[string, (below: string) => Promise<{ url: string, stop(): Promise<void> }>][]} */
    const upstreams = [];
    for (const directive of ['keepalive_timeout 0', 'keepalive_requests 20']) {
      if (nginx === undefined) continue;
      upstreams.push([`nginx with ${directive}`, (below) => serveWithNginx(below, root, nginx, directive)]);
    }
    if (python !== undefined) upstreams.push(["Python's http.server", (below) => serveWithPython(below, root)]);
    for (const [index, [name, serve]] of upstreams.entries()) {
      const below = join(folder, `${index}`);
      await mkdir(below);
      await tally.check(`${name} as upstream: ${requests} requests over files, npm and OCI each`, async () => {
        const upstream = await serve(below);
        try {
          await askAll(below, upstream.url, wanted);
        } finally {
          await upstream.stop();
        }
      });
    }
  });
}

/**
 * @param {string} folder
 * @param {string} url
 * @param {Record<'files' | 'npm' | 'oci', Wanted[]>} wanted
 */
async function askAll(folder, url, wanted) {
  const server = new EntrepotServer({
    folder,
    port: await freePort(),
    repositories: {
      files: { type: 'files', upstream: `${url}/files`, rules: [{ match: '**', policy: 'immutable' }] },
      npm: { type: 'npm', upstream: `${url}/npm` },
      oci: { type: 'oci', upstream: url },
    },
    more: { log: { access: false } },
  });
  await server.start();
  try {
    for (const [repository, mount] of /** @type {const} */ ([
      ['files', 'files'],
      ['npm', 'npm'],
      ['oci', 'v2/oci'],
    ])) {
      const queue = wanted[repository].values();
      /** @type {string[]} */
      const broken = [];
      const client = async () => {
        for (const { path, body } of queue) {
          const answer = await get(`${server.url}/${mount}/${path}`).catch((error) => ({ status: error.message }));
          const right = answer.status === 200 && 'body' in answer && answer.complete;
          if (!right || (body !== undefined && !answer.body.equals(body))) broken.push(`${path}: ${answer.status}`);
        }
      };
      await Promise.all(Array.from({ length: CLIENTS }, client));
      assert.deepEqual(broken.slice(0, 10), [], `${broken.length} of ${wanted[repository].length} to ${repository}`);
    }
    const sent = await server.metric('entrepot_upstream_requests_total');
    note(`${sent} requests to the upstream, all of them whole`);
  } finally {
    // Fails when the process has ended meanwhile.
    await server.stop();
  }
}
