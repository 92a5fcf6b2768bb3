import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { Origin } from '@entrepot/fixtures/origin';
import { outputOf } from '@entrepot/fixtures/run-command';
import { withScratch } from '@entrepot/fixtures/scratch';
import { DebMirror } from './deb-mirror.mjs';
import { EntrepotServer, freePort } from './entrepot.mjs';

/** @import { CommandResult } from '@entrepot/fixtures/run-command' */

/**
 * Mirrors of one archive, and what a server is told about them.
 * @typedef {object} Mirrored
 * @property {DebMirror[]} mirrors
 * @property {Record<string, unknown>} definition of the repository
 */

/**
 * A server before mirrors. It is not started.
 * @typedef {object} LinuxScene
 * @property {string} folder empty, and of this scene alone
 * @property {(type: string, files: () => Map<string, Buffer>, options?: { mirrors?: number, freshFor?: string } & Record<string, unknown>) => Promise<Mirrored>} mirrored starts mirrors
 * @property {(repositories: Record<string, Mirrored>, more?: Record<string, unknown>) => Promise<EntrepotServer>} serve starts a server
 */

/** Sets up what `use` takes, and ends it afterwards. @param {string} name @param {(scene: LinuxScene) => Promise<void>} use */
export async function withLinuxScene(name, use) {
  await withScratch(name, async (folder) => {
    /** @type {DebMirror[]} */
    const all = [];
    /** @type {EntrepotServer[]} */
    const servers = [];
    /** @type {LinuxScene['mirrored']} */
    const mirrored = async (type, files, { mirrors: count = 1, freshFor = '2m', ...options } = {}) => {
      const mirrors = await Promise.all(Array.from({ length: count }, () => new DebMirror(files).start()));
      all.push(...mirrors);
      const cache = { generations: { freshFor, staleAfter: '1m', negativeFor: '0s' } };
      return { mirrors, definition: { type, upstreams: mirrors.map(({ url }) => ({ url })), cache, ...options } };
    };
    /** @type {LinuxScene['serve']} */
    const serve = async (repositories, more = {}) => {
      const definitions = Object.entries(repositories).map(([id, { definition }]) => [id, definition]);
      const server = new EntrepotServer({
        folder,
        port: await freePort(),
        repositories: Object.fromEntries(definitions),
        more,
      });
      servers.push(server);
      await server.start();
      return server;
    };
    try {
      await use({ folder, mirrored, serve });
    } finally {
      for (const server of servers) await server.kill();
      await Promise.all(all.map((mirror) => mirror.stop()));
    }
  });
}

/** Settings of a server whose clients come by `addressed`. */
export const TRUSTING = { server: { trustProxy: ['127.0.0.1'] } };

/**
 * A proxy that gives each client an address of its own, as they have outside of one machine.
 * @param {string} url of the server
 * @param {(urlOf: (client: number) => string) => Promise<void>} use `urlOf`: the server for one client
 */
export async function withAddresses(url, use) {
  const agent = new Agent({ keepAlive: true });
  const relay = await new Origin(async (asked, response) => {
    const [, client, path = '/'] = /^\/(\d+)(\/.*)$/.exec(asked.url ?? '') ?? [];
    const headers = { ...asked.headers, 'x-forwarded-for': `10.0.0.${client}` };
    const sent = request(url + path, { method: asked.method ?? 'GET', headers, agent }).end();
    const [answer] = await once(sent, 'response');
    response.writeHead(answer.statusCode, answer.headers);
    await pipeline(answer, response);
  }).start();
  try {
    await use((client) => `${relay.url}/${client}`);
  } finally {
    await relay.stop();
    agent.destroy();
  }
}

/** @param {CommandResult} result */
export function succeeded(result) {
  assert.equal(result.code, 0, outputOf(result));
  return result;
}

/** A copy with one wrong byte. @param {Buffer} bytes @param {number} [at] */
export function flipped(bytes, at = bytes.length - 10) {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

/** Page that a network with a login gives in place of files. */
export const PORTAL = Buffer.from('<html><body>Log in to this network</body></html>');
