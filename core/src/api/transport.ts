import type { Readable } from 'node:stream';

/** One HTTP request to an upstream: a single hop. Core follows redirects, adds credentials and retries. */
export interface TransportRequest {
  readonly method: 'GET' | 'HEAD' | 'POST';
  readonly url: URL;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | undefined;
  /** Whether the host may resolve to a private, loopback or link-local address. `false` for URLs that an upstream named. */
  readonly allowPrivate: boolean;
  readonly signal: AbortSignal;
}

/** The head of a reply, and its body as it came: no content coding is undone. */
export interface TransportReply {
  readonly status: number;
  /** Names in lower case; several fields of one name are joined by `, `. */
  readonly headers: Readonly<Record<string, string>>;
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
