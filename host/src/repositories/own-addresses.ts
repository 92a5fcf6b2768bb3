import { hostname, networkInterfaces } from 'node:os';
import { isLoopback, type ListenAddress } from '../config/listen-address.js';
import type { Config } from '../config/schema.js';

const DEFAULT_PORTS: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443 };

/** Whether a URL leads to a listener of this server, or below a URL under which the configuration says that clients reach it. */
export function ownAddresses({ server, repositories = {} }: Config): (url: string) => boolean {
  const all = Object.values(repositories);
  const listeners = [server.listen, ...all.flatMap(({ listen }) => listen ?? [])];
  const published = [server.publicUrl, ...all.map(({ publicUrl }) => publicUrl)].flatMap((url) => url ?? []);
  return (text) => {
    if (!URL.canParse(text)) return false;
    const url = new URL(text);
    const port = url.port === '' ? DEFAULT_PORTS[url.protocol] : Number(url.port);
    const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
    if (listeners.some((listener) => listener.port === port && isAt(host, listener))) return true;
    return published.some((base) => `${url.origin}${url.pathname}/`.startsWith(`${base}/`));
  };
}

/** Whether a client on this machine that asks `host` gets to `listener`. */
function isAt(host: string, { host: bound }: ListenAddress): boolean {
  if (bound !== undefined && bound !== '0.0.0.0' && bound !== '::') return sameHost(host, bound);
  return isLoopback(host) || host === hostname().toLowerCase() || ownIps().includes(host);
}

function sameHost(one: string, other: string): boolean {
  if (one === other.toLowerCase()) return true;
  // 127.0.0.2 is another listener than 127.0.0.1; the name may be either of IPv4 and IPv6.
  const [named, address] = one === 'localhost' ? [one, other] : [other, one];
  return named === 'localhost' && (address === '127.0.0.1' || address === '::1');
}

function ownIps(): string[] {
  return Object.values(networkInterfaces()).flatMap((addresses = []) => addresses.map(({ address }) => address));
}
