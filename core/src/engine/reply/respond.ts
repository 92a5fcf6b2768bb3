import type { Readable } from 'node:stream';
import type { ByteRange } from '../../api/blob-store.js';
import type { Entry } from '../../api/entry-index.js';
import { EntrepotError } from '../../api/errors.js';
import { cacheStatus, outcomeOf, xCache, type CacheFacts, type OutcomeSubject } from './outcome.js';
import { multipart, parseRanges } from './multiple-ranges.js';
import { ifRangeMatches, noneMatch, parseRange } from './range.js';
import { mergeHeaders } from '../request/merge-headers.js';
import type { EngineReply, EngineRequest } from '../request/request.js';
import type { StoredResource } from '../request/resource.js';
import { sandboxFor } from './sandbox.js';

/** Something that can be sent: its metadata, and a way to its bytes. */
export interface Representation extends OutcomeSubject {
  readonly repository: string;
  /** The class of the resource. */
  readonly resource: string;
  readonly mediaType: string;
  /** Bytes; `undefined` while unknown. */
  readonly size: number | undefined;
  /** Strong; `undefined` while unknown. */
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
  readonly cacheControl: string;
  /** When policy can change it by time alone; milliseconds since the epoch. */
  readonly changesAt?: number | undefined;
  readonly vary?: string | undefined;
  readonly encoding?: string | undefined;
  /** Further headers. Those that are kept have lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** Seconds since the upstream confirmed it; absent for a reply that comes from the upstream now. */
  readonly age?: number | undefined;
  readonly ranges: boolean;
  /** Whether a request may ask for several of them. Absent: it gets the whole. */
  readonly severalRanges?: boolean | undefined;
  /** The reason why the copy is stale, for clients that show warnings. */
  readonly warning?: string | undefined;
  readonly facts: CacheFacts;
  /**
   * Finds a URL that serves the whole by itself, with these headers. `undefined`: it is to be served from here.
   * Absent: always.
   */
  readonly elsewhere?: ((headers: Readonly<Record<string, string>>) => Promise<URL | undefined>) | undefined;
  /** Opens the bytes; called once at the most, or once for each of several ranges. */
  open(range?: ByteRange): Buffer | Readable | Promise<Buffer | Readable>;
}

/** The longest text of a `Warning`; clients may refuse more than 4096 bytes of them. */
const MAX_WARNING = 1000;

/** Answers GET or HEAD with `shown`: conditions, a range, or the whole (RFC 9110 §13.2.2, §14.2). */
export async function respond(request: EngineRequest, shown: Representation): Promise<EngineReply> {
  const headers = representationHeaders(shown);
  const outcome = outcomeOf(shown.repository, shown.resource, shown.facts, shown);
  if (isNotModified(request, shown)) return { status: 304, headers, outcome };
  const range = askedRange(request, shown);
  if (range === 'unsatisfiable') {
    throw new EntrepotError('range-not-satisfiable', `The range lies outside of the ${shown.size} bytes`, {
      headers: { 'Content-Range': `bytes */${shown.size}` },
    });
  }
  if (isSeveral(range)) {
    const size = shown.size as number;
    const parts = multipart({ mediaType: shown.mediaType, size }, range, (one) => shown.open(one));
    headers['Content-Type'] = parts.mediaType;
    headers['Content-Length'] = String(parts.size);
    return { status: 206, headers, body: parts.open(), outcome };
  }
  if (range !== undefined) {
    headers['Content-Range'] = `bytes ${range.start}-${range.end}/${shown.size}`;
    headers['Content-Length'] = String(range.end - range.start + 1);
    return { status: 206, headers, body: await shown.open(range), outcome };
  }
  if (shown.size !== undefined) headers['Content-Length'] = String(shown.size);
  if (request.method === 'HEAD') return { status: 200, headers, outcome };
  if (shown.elsewhere !== undefined && isUnconditional(request)) {
    const url = await shown.elsewhere(headers);
    if (url !== undefined) return redirectTo(url, shown);
  }
  return { status: 200, headers, body: await shown.open(), outcome };
}

/** Headers that make a request conditional. Whoever answers it elsewhere knows neither our tags nor our dates. */
const CONDITIONS = ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since', 'if-range', 'range'];

function isUnconditional(request: EngineRequest): boolean {
  return CONDITIONS.every((name) => request.header(name) === undefined);
}

/** The reply that sends a client elsewhere. Nobody keeps it: the URL soon ends, and who may have it is asked here each time. */
function redirectTo({ href }: URL, shown: Representation): EngineReply {
  const { repository, resource, facts } = shown;
  const detail = facts.detail === undefined ? 'redirected' : `${facts.detail}, redirected`;
  const headers = {
    Location: href,
    'Content-Length': '0',
    'Cache-Control': 'no-store',
    'X-Cache': xCache(facts.name),
    'Cache-Status': cacheStatus({ ...facts, detail }),
  };
  return { status: 307, headers, outcome: outcomeOf(repository, resource, { ...facts, detail }, shown) };
}

/** The spelling of the headers that are made here: one that comes with a representation is not a second one. */
const OWN_NAMES: ReadonlyMap<string, string> = new Map(
  [
    'Content-Type',
    'Content-Length',
    'Content-Range',
    'Content-Encoding',
    'Content-Security-Policy',
    'ETag',
    'Last-Modified',
    'Cache-Control',
    'Vary',
    'Accept-Ranges',
    'Age',
    'Warning',
    'X-Cache',
    'Cache-Status',
    'X-Content-Type-Options',
  ].map((name) => [name.toLowerCase(), name]),
);

/** Both lists, each name once. */
function mergedVary(given: string | undefined, own: string): string {
  if (given === undefined) return own;
  const names = `${own}, ${given}`.split(',').map((name) => name.trim());
  return [...new Map(names.map((name) => [name.toLowerCase(), name])).values()].join(', ');
}

function representationHeaders(shown: Representation): Record<string, string> {
  const headers: Record<string, string> = { 'Content-Type': shown.mediaType };
  for (const name in shown.headers) headers[OWN_NAMES.get(name.toLowerCase()) ?? name] = shown.headers[name] as string;
  if (shown.etag !== undefined) headers['ETag'] = shown.etag;
  if (shown.lastModified !== undefined) headers['Last-Modified'] = shown.lastModified;
  headers['Cache-Control'] = shown.cacheControl;
  if (shown.vary !== undefined) headers['Vary'] = mergedVary(headers['Vary'], shown.vary);
  if (shown.encoding !== undefined) headers['Content-Encoding'] = shown.encoding;
  if (shown.ranges) headers['Accept-Ranges'] = 'bytes';
  if (shown.age !== undefined) headers['Age'] = String(shown.age);
  if (shown.warning !== undefined) headers['Warning'] = warningHeader(shown.warning);
  headers['X-Cache'] = xCache(shown.facts.name);
  headers['Cache-Status'] = cacheStatus(shown.facts);
  headers['X-Content-Type-Options'] = 'nosniff';
  return Object.assign(headers, sandboxFor(shown.mediaType));
}

/** The digest of a document that is not there. */
export const NO_DOCUMENT = 'none';

/** Merges the kept headers with those that the resource and the protocol want instead or besides. */
export function headersOf(
  { replyHeaders, digestHeader }: Pick<StoredResource, 'replyHeaders' | 'digestHeader'>,
  { headers: kept, digest }: { readonly headers: Entry['headers']; readonly digest?: string | undefined },
  rendered: Readonly<Record<string, string>> | undefined,
): Readonly<Record<string, string>> {
  // The kept headers may name the bytes by another algorithm.
  const named =
    digestHeader !== undefined &&
    digest !== undefined &&
    digest !== NO_DOCUMENT &&
    kept[digestHeader.toLowerCase()] === undefined;
  if (rendered === undefined && replyHeaders === undefined && !named) return kept;
  const own = mergeHeaders(rendered, named ? { [digestHeader]: digest } : undefined, replyHeaders);
  const merged = mergeHeaders(own, kept, own);
  return Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== ''));
}

/** The request headers that a rewritten document differs by. */
export function varyOf({ vary = [] }: Pick<StoredResource, 'vary'>): string {
  return [...vary, 'Accept-Encoding'].join(', ');
}

/** `control` for what is right until `changesAt` only (milliseconds since the epoch): no cache may keep it for longer. */
export function cacheControlUntil(control: string, changesAt: number | undefined, now: number): string {
  if (changesAt === undefined) return control;
  const left = Math.max(0, Math.floor((changesAt - now) / 1000));
  let capped = false;
  const text = control.replace(/max-age=(\d+)/, (directive, seconds: string) => {
    capped = Number(seconds) > left;
    return capped ? `max-age=${left}` : directive;
  });
  return capped ? text.replace(/, *immutable\b/, '') : text;
}

/** A `Warning` of any kind (distribution-spec, "Warnings"). */
function warningHeader(text: string): string {
  const printable = text.replaceAll(/[^\u0020-\u007e]|["\\]/g, '?');
  return `299 - "${printable.slice(0, MAX_WARNING)}"`;
}

/** `If-None-Match` wins over `If-Modified-Since` (RFC 9110 §13.1.3). */
function isNotModified(request: EngineRequest, { etag, lastModified }: Representation): boolean {
  const wanted = request.header('if-none-match');
  if (wanted !== undefined) return etag !== undefined && noneMatch(wanted, etag);
  const since = request.header('if-modified-since');
  if (since === undefined || lastModified === undefined) return false;
  return since === lastModified || Date.parse(lastModified) <= Date.parse(since);
}

function askedRange(
  request: EngineRequest,
  shown: Representation,
): ByteRange | readonly ByteRange[] | 'unsatisfiable' | undefined {
  const header = request.method === 'GET' ? request.header('range') : undefined;
  if (header === undefined || !shown.ranges || shown.size === undefined) return undefined;
  const condition = request.header('if-range');
  if (condition !== undefined && !ifRangeMatches(condition, shown.etag, shown.lastModified)) return undefined;
  const several = shown.severalRanges === true ? parseRanges(header, shown.size) : undefined;
  if (several === undefined) return parseRange(header, shown.size);
  return several.length === 1 && isSeveral(several) ? several[0] : several;
}

function isSeveral(range: ReturnType<typeof askedRange>): range is readonly ByteRange[] {
  return Array.isArray(range);
}
