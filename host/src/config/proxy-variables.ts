import ipaddr from 'ipaddr.js';
import type { ConfigurationProblem } from './configuration-error.js';
import { isLoopback } from './listen-address.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** Through which proxy a URL is reached; `undefined`: through none. */
export type ProxyFor = (url: URL) => string | undefined;

const DEFAULT_PORTS: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' };

/**
 * Reads `http_proxy`, `https_proxy` and `no_proxy`, or the same in capitals, as curl and Go do. The scheme of the URL
 * chooses the variable. Hosts on this machine are never asked through a proxy.
 * @returns `undefined` where no proxy is set
 */
export function proxyVariables(env: Environment): ProxyFor | undefined {
  const proxies: Readonly<Record<string, string | undefined>> = {
    'http:': proxyUrl(read(env, 'http_proxy')),
    'https:': proxyUrl(read(env, 'https_proxy')),
  };
  if (proxies['http:'] === undefined && proxies['https:'] === undefined) return undefined;
  const exempt = exemptions((read(env, 'no_proxy') ?? '').split(/[\s,]+/));
  return (url) => {
    const proxy = proxies[url.protocol];
    return proxy === undefined || isOfThisMachine(hostOf(url)) || exempt(url) ? undefined : proxy;
  };
}

/** Reaches hosts without a proxy that entries of the form of `no_proxy` name. The entries of the variable do not count any more. */
export function exceptFor(entries: readonly string[], proxy: string | ProxyFor): ProxyFor {
  const exempt = exemptions(entries);
  const proxyFor = typeof proxy === 'function' ? proxy : () => proxy;
  return (url) => (exempt(url) ? undefined : proxyFor(url));
}

function exemptions(entries: readonly string[]): (url: URL) => boolean {
  const all = entries.flatMap((entry) => exemption(entry.toLowerCase()));
  return (url) => all.some((matches) => matches(hostOf(url), portOf(url)));
}

/** Variables whose proxy cannot be used. */
export function proxyProblems(env: Environment): ConfigurationProblem[] {
  return ['http_proxy', 'https_proxy'].flatMap((name) => {
    const value = read(env, name);
    if (value === undefined || proxyUrl(value) !== undefined) return [];
    const path = env[name] ? name : name.toUpperCase();
    return [{ path, message: 'expected the http:// or https:// URL of a proxy, or host:port' }];
  });
}

/** curl's order: lower case first. */
function read(env: Environment, name: string): string | undefined {
  return env[name] || env[name.toUpperCase()] || undefined;
}

/** `host:port` is the usual short form. */
function proxyUrl(value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`;
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol) ? text : undefined;
}

type Exemption = (host: string, port: string) => boolean;

/** An entry of `no_proxy`: `*`, a name (with all below it), `.name` (only what is below), an address, a network; with or without a port. */
function exemption(entry: string): Exemption[] {
  if (entry === '') return [];
  if (entry === '*') return [() => true];
  if (ipaddr.isValidCIDR(entry)) {
    const [network, prefix] = ipaddr.parseCIDR(entry);
    return [(host) => isIn(host, network, prefix)];
  }
  const bare = entry.replace(/^\[(.*)\]$/, '$1');
  if (ipaddr.isValid(bare)) return [(host) => sameAddress(host, bare)];
  const port = /:(\d+)$/.exec(entry)?.[1];
  const name = port === undefined ? entry : entry.slice(0, -port.length - 1);
  const address = name.replace(/^\[(.*)\]$/, '$1');
  const fits: (host: string) => boolean = ipaddr.isValid(address)
    ? (host) => sameAddress(host, address)
    : nameMatcher(name.replace(/^\*(?=\.)/, ''));
  return [(host, at) => (port === undefined || port === at) && fits(host)];
}

function nameMatcher(name: string): (host: string) => boolean {
  if (name.startsWith('.')) return (host) => host.endsWith(name);
  return (host) => host === name || host.endsWith(`.${name}`);
}

function isIn(host: string, network: ipaddr.IPv4 | ipaddr.IPv6, prefix: number): boolean {
  if (!ipaddr.isValid(host)) return false;
  const address = ipaddr.process(host);
  return address.kind() === network.kind() && address.match(network, prefix);
}

function sameAddress(host: string, address: string): boolean {
  return ipaddr.isValid(host) && ipaddr.process(host).toString() === ipaddr.process(address).toString();
}

function isOfThisMachine(host: string): boolean {
  return isLoopback(host) || host.endsWith('.localhost');
}

function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
}

function portOf({ port, protocol }: URL): string {
  return port === '' ? (DEFAULT_PORTS[protocol] ?? '') : port;
}
