import { proxyVariables } from '../../config/proxy-variables.js';
import type { TransportConfig } from '../../config/schema.js';
import { LOOP_HEADER, loopHeader } from './loop.js';
import { UndiciTransport } from './undici.js';

/** The transport that the configuration means; where it names no proxy, the variables of `env` do. */
export function openTransport(
  { proxy, connections, connectTimeout, headersTimeout, idleTimeout }: TransportConfig,
  env: Readonly<Record<string, string | undefined>> = process.env,
): UndiciTransport {
  const timeouts = { connect: connectTimeout, headers: headersTimeout, body: idleTimeout };
  const chosen = proxy === 'none' ? undefined : (proxy ?? proxyVariables(env));
  const loop = { header: LOOP_HEADER, value: loopHeader };
  return new UndiciTransport({ proxy: chosen, connections, timeouts, loop });
}
