import type { Readable } from 'node:stream';
import type { Outcome } from '../../api/outcome.js';

/** The origin of a request: a user of this machine, a browser for a page of another site, or anything else. */
export type Sender = 'this-machine' | 'foreign-page' | 'elsewhere';

/** A request for one repository, without its mount. */
export interface EngineRequest {
  readonly method: string;
  /** The path below the mount as it was sent, not decoded; begins with `/`. */
  readonly rawPath: string;
  /** The query as it was sent, without `?`; empty when there is none. */
  readonly rawQuery: string;
  /** A request header by its lower-case name. */
  header(name: string): string | undefined;
  /** The body; only read for uploads and passthrough. */
  readonly body: Readable;
  /** The URL of the repository as this client reaches it, without a trailing slash. */
  readonly baseUrl: string;
  /** The shared mount that it came in by; absent: the repository's own. */
  readonly mount?: string | undefined;
  /** The client's address. Absent: it is not known. */
  readonly client?: string | undefined;
  /** Names the connection of the client, among those of this process. Absent: it is not known, or that of a proxy. */
  readonly connection?: string | undefined;
  /** The place that it was sent from. Absent: it is not known, which is as from elsewhere. */
  readonly sender?: Sender | undefined;
  /** Aborted when the client has gone. */
  readonly signal: AbortSignal;
}

/** The answer for a client. */
export interface EngineReply {
  readonly status: number;
  /** The reason phrase of the status line: printable ASCII. Absent: that of the status. */
  readonly statusMessage?: string | undefined;
  /** Names as they are sent. */
  readonly headers: Readonly<Record<string, string>>;
  /**
   * Absent for HEAD, 204 and 304. A stream that fails half-way must end the connection, never the message: what was
   * promised was not delivered.
   */
  readonly body?: Buffer | Readable | undefined;
  readonly outcome: Outcome;
}
