import type { Readable } from 'node:stream';

/**
 * Which network an address belongs to:
 * - `public`: the internet;
 * - `private`: private, unique-local and carrier-grade NAT networks (RFC 1918, 4193, 6598);
 * - `test`: networks for documentation and benchmarks (RFC 5737, 3849, 9637, 2544, 5180), where gateways answer for other hosts;
 * - `loopback`: this machine;
 * - `other`: link-local (cloud metadata), multicast, unspecified, anything else; also a name whose addresses differ in this.
 */
export type AddressZone = 'public' | 'private' | 'test' | 'loopback' | 'other';

/** One HTTP request to an upstream: a single hop. Core follows redirects, adds credentials and retries. */
export interface TransportRequest {
  readonly method: 'GET' | 'HEAD' | 'POST';
  readonly url: URL;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | undefined;
  /** Whether the host may have any address. `false` for URLs that an upstream named: public ones, and those of `alsoZone`. */
  readonly allowPrivate: boolean;
  /**
   * With `allowPrivate: false`, the zone of the server that named the URL. Addresses of that zone are allowed too,
   * except for `other`. Decided on the address that is connected to.
   */
  readonly alsoZone?: AddressZone | undefined;
  readonly signal: AbortSignal;
}

/** The head of a reply, and its body as it came: no content coding is undone. */
export interface TransportReply {
  readonly status: number;
  /** Names in lower case; several fields of one name are joined by `, `. */
  readonly headers: Readonly<Record<string, string>>;
  /** The zone of the host that answered. Absent: unknown, as behind a proxy that resolves names; counts as `public`. */
  readonly zone?: AddressZone | undefined;
  /** The caller reads it to its end or destroys it. A body that ends early is an error of the stream. */
  readonly body: Readable;
}

/**
 * Sends requests to upstreams. Bounded waits: to connect, for the head, and between two pieces of a body.
 * Every failure is an `EntrepotError` of kind `upstream-unavailable` (504 for a timeout), also when it happens in the
 * middle of a body; a refused address is `forbidden`. An abort whose
 * reason is an `EntrepotError` fails with that.
 */
export interface Transport {
  send(request: TransportRequest): Promise<TransportReply>;
  dispose(): Promise<void>;
}
