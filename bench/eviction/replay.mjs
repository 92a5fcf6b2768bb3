import { BoundedCache, Oldest, SMALL, Sieve } from './caches.mjs';

/** The share of the bound that the server leaves to small objects, and the share of it down to which it evicts. */
export const SHARE = 0.1;
export const LOW = 0.9;

const AROUND = [0.9, 0.95, 1, 1.05, 1.1];
const lru = () => new Oldest({ renews: true });

/** Each makes a cache with a bound in bytes. */
export const POLICIES = {
  FIFO: (bound) => new BoundedCache(bound, new Oldest({ renews: false })),
  LRU: (bound) => new BoundedCache(bound, lru()),
  'LRU, share': (bound) => new BoundedCache(bound, lru(), { share: SHARE }),
  'LRU, share and batches': (bound) => new BoundedCache(bound, lru(), { share: SHARE, low: LOW }),
  SIEVE: (bound) => new BoundedCache(bound, new Sieve()),
  'SIEVE, share': (bound) => new BoundedCache(bound, new Sieve(), { share: SHARE }),
  'SIEVE, batches': (bound) => new BoundedCache(bound, new Sieve(), { low: LOW }),
  'SIEVE, share and batches': (bound) => serverCache(bound, SHARE),
  'the same, a miss sets the bit': (bound) =>
    new BoundedCache(bound, new Sieve({ bornVisited: true }), { share: SHARE, low: LOW }),
};

/** As the server evicts, with another share for small objects. */
export function serverCache(bound, share) {
  return new BoundedCache(bound, new Sieve(), { share, low: LOW });
}

/**
 * Asks the cache for everything in the trace. Hits as shares (0 to 1): of requests, of bytes, and of the requests for small and for other
 * objects.
 */
export function replay({ requests, objects }, cache) {
  const all = { requests: 0, bytes: 0, small: 0, large: 0 };
  const hits = { requests: 0, bytes: 0, small: 0, large: 0 };
  for (const number of requests) {
    const { size } = objects[number];
    add(all, size);
    if (cache.request(number, size)) add(hits, size);
  }
  return mapped(all, (name) => (all[name] === 0 ? 0 : hits[name] / all[name]));
}

/** The means of replays with bounds a little below and above `bound`: which object goes just before it is asked for is chance. */
export function replayAround(trace, make, bound) {
  const found = AROUND.map((factor) => replay(trace, make(factor * bound)));
  return mapped(found[0], (name) => found.reduce((sum, one) => sum + one[name], 0) / found.length);
}

function mapped(object, value) {
  return Object.fromEntries(Object.keys(object).map((name) => [name, value(name)]));
}

function add(sums, size) {
  sums.requests += 1;
  sums.bytes += size;
  sums[size < SMALL ? 'small' : 'large'] += 1;
}

/** Contents of a trace, by class: requests, objects, objects that are asked for once, bytes of the objects. The largest first. */
export function contents({ requests, objects }) {
  const times = new Uint32Array(objects.length);
  for (const number of requests) times[number] += 1;
  const found = new Map();
  for (const [number, { kind, size }] of objects.entries()) {
    const row = found.get(kind) ?? { kind, requests: 0, objects: 0, once: 0, bytes: 0, smallBytes: 0 };
    found.set(kind, row);
    row.requests += times[number];
    row.objects += 1;
    row.once += times[number] === 1 ? 1 : 0;
    row.bytes += size;
    row.smallBytes += size < SMALL ? size : 0;
  }
  return [...found.values()].toSorted((one, other) => other.bytes - one.bytes);
}
