/**
 * The upstream of the servers in the suite for cargo: a registry with a sparse index. Arguments: the round trip, and the number of
 * crates. Below `/via/<port>/` its `config.json` leads to a cache on that port, which could not change it.
 */
import { serveOrigin } from '../lib/origin-server.mjs';
import { benchRegistry, CRATES } from './fixtures.mjs';

const VIA = /^\/via\/(\d+)(\/.*)$/;
const [roundTrip, count = CRATES] = process.argv.slice(2).map(Number);
const { index, crates } = benchRegistry(count);
const configs = new Map();
const found = new Map();
for (const [path, bytes] of index) found.set(`/index/${path}`, { bytes, mediaType: 'text/plain', compressed: true });
for (const [path, bytes] of crates) found.set(`/crates/${path}`, { bytes, mediaType: 'application/gzip' });

function config(base) {
  if (!configs.has(base)) {
    const bytes = Buffer.from(JSON.stringify({ dl: `${base}/crates`, api: base }));
    configs.set(base, { bytes, mediaType: 'application/json' });
  }
  return configs.get(base);
}

function answer(path, _request, origin) {
  const [, port, rest = path] = VIA.exec(path) ?? [];
  if (rest === '/index/config.json')
    return config(port === undefined ? origin : `http://127.0.0.1:${port}/via/${port}`);
  return found.get(rest);
}

serveOrigin({ answer, roundTrip, facts: { paths: [...found.keys()] } });
