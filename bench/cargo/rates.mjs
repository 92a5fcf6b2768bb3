import { sha256 } from '../lib/fixtures.mjs';
import { get } from '../lib/http.mjs';
import { runRates } from '../lib/rates.mjs';

/** The index of a crate with 140 versions, and a crate of 45 KB. */
const INDEX = 'cr/at/crate-037';
const CODED = { 'accept-encoding': 'gzip' };
const PLAIN = { 'accept-encoding': 'identity' };

/** Measures one path under load. `pathOf(server)`: on that server. */
function rateCase({ id, title, path, headers, ...extra }) {
  return {
    id,
    title,
    quick: extra.bars !== undefined,
    run: (bench) =>
      runRates(bench, {
        servers: ['entrepot', 'koa', 'nginx'],
        headers,
        urlOf: (server) => urlOf(bench, server, path, headers),
        expected: async () => sha256((await bench.origin.prepare(`/index/${path}`)).body),
        digest: sha256,
        connections: 16,
        field: 'requestsPerSecond',
        ...extra,
      }),
  };
}

/** Koa gets what Entrepot answers: the same buffer, the same headers. */
async function urlOf(bench, server, path, headers) {
  if (!server.copy) return `${server.index}/${path}`;
  const { index } = await bench.server('entrepot');
  await get(`${index}/${path}`, { headers });
  const answer = await get(`${index}/${path}`, { headers });
  await server.copy(`/${path}`, headers['accept-encoding'], answer);
  return `${server.base}/${path}`;
}

export const rates = [
  rateCase({
    id: 'index-304',
    title: 'Index of a crate, 140 versions, If-None-Match answered with 304',
    path: INDEX,
    headers: CODED,
    conditional: true,
    bars: [{ against: 'koa', least: 0.6 }],
  }),
  rateCase({
    id: 'index-304-plain',
    title: 'Index of a crate, 140 versions, no coding, If-None-Match answered with 304',
    path: INDEX,
    headers: PLAIN,
    conditional: true,
    bars: [{ against: 'koa', least: 0.6 }],
  }),
  rateCase({ id: 'index-gzip', title: 'Index of a crate, 140 versions, gzip', path: INDEX, headers: CODED }),
  rateCase({ id: 'index-plain', title: 'Index of a crate, 140 versions, no coding', path: INDEX, headers: PLAIN }),
];
