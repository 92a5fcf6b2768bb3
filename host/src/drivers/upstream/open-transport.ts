import type { TransportConfig } from '../../config/schema.js';
import { UndiciTransport } from './undici.js';

/** The transport that the configuration means. */
export function openTransport({
  proxy,
  connections,
  connectTimeout,
  headersTimeout,
  idleTimeout,
}: TransportConfig): UndiciTransport {
  const timeouts = { connect: connectTimeout, headers: headersTimeout, body: idleTimeout };
  return new UndiciTransport({ proxy, connections, timeouts });
}
