import { exceptFor, proxyVariables } from '../../config/proxy-variables.js';
import type { TransportConfig } from '../../config/schema.js';
import { LOOP_HEADER, loopHeader } from './loop.js';
import { UndiciTransport } from './undici.js';

/** The transport that the configuration means; where it names no proxy, the variables of `env` do. */
export function openTransport(
  { proxy, noProxy, minTlsVersion, connections, connectTimeout, headersTimeout, idleTimeout }: TransportConfig,
  env: Readonly<Record<string, string | undefined>> = process.env,
): UndiciTransport {
  const timeouts = { connect: connectTimeout, headers: headersTimeout, body: idleTimeout };
  const named = proxy === 'none' ? undefined : (proxy ?? proxyVariables(env));
  const chosen = named === undefined || noProxy === undefined ? named : exceptFor(noProxy, named);
  const loop = { header: LOOP_HEADER, value: loopHeader };
  // The lowest that Node speaks needs no context of its own.
  const minimum = minTlsVersion === 'TLSv1.2' ? undefined : minTlsVersion;
  return new UndiciTransport({ proxy: chosen, connections, timeouts, loop, minTlsVersion: minimum });
}
