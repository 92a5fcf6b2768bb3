import type { Entry } from '../../api/entry-index.js';
import type { ArtifactResource, DocumentResource } from '../request/resource.js';
import { headerText } from '../request/header-text.js';

type Headers = Readonly<Record<string, string | undefined>>;

/** Validators that entries keep outside of their headers. */
const VALIDATORS = ['etag', 'last-modified'];

/** Selects the headers of an upstream's reply that clients get, too: an allow-list of the resource and its class. */
export function keptHeaders(
  { keepHeaders }: ArtifactResource | DocumentResource,
  headers: Headers,
): Record<string, string> {
  return selected(headers, keepHeaders);
}

/** Selects the headers that hooks see when they read or verify a body. */
export function verifiedHeaders(
  { keepHeaders }: ArtifactResource | DocumentResource,
  headers: Headers,
): Record<string, string> {
  return selected(headers, [...VALIDATORS, ...keepHeaders]);
}

/** Gives the headers of `resource` that tell sums of its bytes, as far as `sums` has them: in hex, by algorithm. */
export function sumHeaders(
  { sumHeaders: names }: ArtifactResource | DocumentResource,
  sums: Iterable<readonly [algorithm: string, hex: string]>,
): Record<string, string> {
  const known = new Map(sums);
  const found = Object.entries(names).map(([algorithm, name]) => [name.toLowerCase(), known.get(algorithm)] as const);
  return Object.fromEntries(found.filter((header): header is [string, string] => header[1] !== undefined));
}

/** Selects the headers of kept bytes that tell their sums. */
export function keptSums(
  { sumHeaders: names }: ArtifactResource | DocumentResource,
  { headers }: Entry,
): Record<string, string> {
  return selected(
    headers,
    Object.values(names).map((name) => name.toLowerCase()),
  );
}

/** Gives the headers that came with a kept body. */
export function headersOf({ headers, etag, lastModified }: Entry): Headers {
  return { ...headers, etag, 'last-modified': lastModified };
}

function selected(headers: Headers, names: readonly string[]): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const name of names) {
    const value = headers[name];
    if (value !== undefined) kept[name] = headerText(name, value);
  }
  return kept;
}
