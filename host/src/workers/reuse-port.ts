import { once } from 'node:events';
import { createServer } from 'node:net';
import { printListenAddress, type ListenAddress } from '../config/listen-address.js';
import type { Config } from '../config/schema.js';

/**
 * Whether the system gives each connection to one of several processes that listen on one port. A connection for a process that is
 * killed is refused at once then; handed over by another process, as elsewhere, it would hang.
 */
export const REUSES_PORT = process.platform === 'linux';

/**
 * Listens everywhere for a moment: a port that may be shared would be shared with a stranger.
 * @param before the configuration whose addresses are listened on. Absent: there is none
 * @throws the system's error
 */
export async function assertFree(config: Config, before?: Config): Promise<void> {
  const own = before === undefined ? new Map<string, ListenAddress>() : addressesOf(before);
  for (const [name, { host, port }] of addressesOf(config)) {
    if (own.has(name)) continue;
    const probe = createServer();
    probe.listen({ port, ...(host === undefined ? undefined : { host }) });
    await once(probe, 'listening');
    probe.close();
    await once(probe, 'close');
  }
}

/** All addresses of a configuration, by their text. */
function addressesOf({ server, metrics, repositories = {} }: Config): ReadonlyMap<string, ListenAddress> {
  const own = metrics.enabled && metrics.listen !== undefined ? [metrics.listen] : [];
  const all = [server.listen, ...own, ...Object.values(repositories).flatMap(({ listen }) => listen ?? [])];
  return new Map(all.map((address) => [printListenAddress(address), address]));
}
