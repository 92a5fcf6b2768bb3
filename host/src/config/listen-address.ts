import ipaddr from 'ipaddr.js';

/** The address of a listener. */
export interface ListenAddress {
  /** A host name or an address without brackets. Absent: every address of the machine. */
  readonly host?: string | undefined;
  /** 0 lets the system choose. */
  readonly port: number;
}

/** Whether `host` is loopback, or a name that stands for it (RFC 6761 §6.3). */
export function isLoopback(host: string | undefined): boolean {
  if (host === undefined) return false;
  const plain = host.replace(/^\[(.*)\]$/, '$1');
  return plain === 'localhost' || (ipaddr.isValid(plain) && ipaddr.process(plain).range() === 'loopback');
}

const FORM = /^(?:\[(?<address>[0-9A-Fa-f:.]+(?:%[\w.]+)?)\]|(?<name>[^\s:[\]/@]*)):(?<port>\d{1,5})$/;

/** The address that `text` names (`host:port`, `[::1]:port`, `:port`), or `undefined` when it is none. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const groups = FORM.exec(text)?.groups;
  if (groups === undefined) return undefined;
  const port = Number(groups['port']);
  if (port > 65_535) return undefined;
  const host = groups['address'] ?? groups['name'];
  return host === undefined || host === '' ? { port } : { host: host.toLowerCase(), port };
}

/** `address` in the form in which the configuration names it. */
export function printListenAddress({ host = '', port }: ListenAddress): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
