import { setTimeout as pause } from 'node:timers/promises';
import type { Entry } from '../../api/entry-index.js';
import type { UpstreamLocation } from '../request/resource.js';
import type { RelayedReply } from '../store/flight-coordinator.js';

/** A request for the upstreams of a repository. */
export interface UpstreamQuery {
  readonly method: 'GET' | 'HEAD' | 'POST';
  /** Below the base URL, encoded. Absent: no upstream is asked, only `location`. */
  readonly path?: string | undefined;
  /** Paths of the same bytes that are tried after it, each at all upstreams. */
  readonly otherPaths?: readonly string[] | undefined;
  readonly scope?: string | undefined;
  /** URLs of the upstreams of the scope that are asked. Absent: all. */
  readonly among?: readonly string[] | undefined;
  /** The relation of several upstreams of one scope. */
  readonly order?: 'mirrors' | 'origins' | undefined;
  /** An absolute URL that is tried before the upstreams: where a document says that the bytes are. */
  readonly location?: string | undefined;
  /** Others that are tried after it. */
  readonly mirrors?: readonly string[] | undefined;
  /** Which redirects end it with a `PassedRedirect`. */
  readonly redirects?: UpstreamLocation['redirects'];
  /** The URL of the document that named `location`. */
  readonly namedBy?: string | undefined;
  /** The scope of the token that the place may want. */
  readonly tokenScope?: string | undefined;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | undefined;
  /** The kept copy to revalidate. Its validators go only to the URL that gave them: another mirror's mean something else. */
  readonly conditional?: Entry | undefined;
  readonly signal: AbortSignal;
  /** Whether an unhealthy upstream may be left unasked: only where a kept copy can be served instead. */
  readonly skipUnhealthy: boolean;
}

/** The place that a query asks. */
export type QueryPlace = Pick<
  UpstreamQuery,
  'path' | 'otherPaths' | 'scope' | 'among' | 'order' | 'redirects' | 'location' | 'mirrors' | 'namedBy' | 'tokenScope'
>;

/** A reply that is an answer: 200, 206 or 304. */
export type UpstreamReply = RelayedReply;

/** The place of `resource` at its upstreams. */
export function placeOf(resource: UpstreamLocation): QueryPlace {
  const { upstreamPath, otherPaths, upstreamScope, among, upstreamOrder, redirects, tokenScope } = resource;
  return { path: upstreamPath, otherPaths, scope: upstreamScope, among, order: upstreamOrder, redirects, tokenScope };
}

/** A query may hold a signature; what is kept of a URL only says where the bytes came from. */
export function withoutQuery(url: string): string {
  return url.split(/[?#]/, 1)[0] as string;
}

/** Waits before trying again; longer each time, with a little chance so that many do not come back at once. */
export async function backOff(attempt: number, signal: AbortSignal): Promise<void> {
  await pause(Math.min(2_000, 100 * 2 ** attempt) * (0.75 + Math.random() / 2), undefined, { signal });
}
