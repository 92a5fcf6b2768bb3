import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Config } from '../config/schema.js';

/**
 * Whether the system gives each connection to one of several processes that listen on one port. A connection for a process that is
 * killed is refused at once then; handed over by another process, as elsewhere, it would hang.
 */
export const REUSES_PORT = process.platform === 'linux';

/** Listens everywhere for a moment: a port that may be shared would be shared with a stranger. @throws the system's error */
export async function assertFree({ server, repositories = {} }: Config): Promise<void> {
  const own = Object.values(repositories).flatMap(({ listen }) => listen ?? []);
  const known = new Map([server.listen, ...own].map((address) => [`${address.host} ${address.port}`, address]));
  for (const { host, port } of known.values()) {
    const probe = createServer();
    probe.listen({ port, ...(host === undefined ? undefined : { host }) });
    await once(probe, 'listening');
    probe.close();
    await once(probe, 'close');
  }
}
