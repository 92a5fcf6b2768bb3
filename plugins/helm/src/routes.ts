import type { HelmOptions } from './options.js';

/** A path of ChartMuseum's API. */
export interface Endpoint {
  /** The class that each method names. HEAD is as GET. */
  readonly classes: Readonly<Record<string, string>>;
  readonly place: Place;
}

/** Names in a path. */
export interface Place {
  /** Segments with `/` between them, or empty. */
  readonly tenant: string;
  readonly file?: string;
  readonly name?: string;
  readonly version?: string;
}

/** A path of the distribution specification below `/v2`. */
export type ImageEndpoint = { readonly tenant: string; readonly name: string } & (
  { readonly kind: 'tags' } | { readonly kind: 'manifest' | 'blob'; readonly reference: string }
);

type Depth = HelmOptions['depth'];
type Pattern = readonly [path: RegExp, classes: Endpoint['classes']];

const COMMON: readonly Pattern[] = [
  [/^$/, { GET: 'welcome' }],
  [/^health$/, { GET: 'health' }],
  [/^info$/, { GET: 'info' }],
];
/** Below `/api/<tenant>`. */
const API: readonly Pattern[] = [
  [/^prov$/, { POST: 'provenanceUpload' }],
  [/^charts$/, { GET: 'listing', POST: 'upload' }],
  [/^charts\/(?<name>[^/]+)$/, { GET: 'versions' }],
  [/^charts\/(?<name>[^/]+)\/(?<version>[^/]+)$/, { GET: 'version', DELETE: 'delete' }],
  [/^charts\/(?<name>[^/]+)\/(?<version>[^/]+)\/templates$/, { GET: 'templates' }],
  [/^charts\/(?<name>[^/]+)\/(?<version>[^/]+)\/values$/, { GET: 'values' }],
];
/** Below `/<tenant>`. */
const PLAIN: readonly Pattern[] = [
  [/^index\.yaml$/, { GET: 'index' }],
  [/^artifacthub-repo\.yml$/, { GET: 'artifacthub' }],
  [/^charts\/(?<file>[^/]+\.tgz(?:\.prov)?)$/, { GET: 'chart' }],
];

/**
 * Reads a path. It has several endpoints only where tenants are of any depth, or have the names of routes
 * (`/api/charts/charts`): the first one is preferred.
 */
export function endpointsOf(segments: readonly string[], depth: Depth, api: boolean): Endpoint[] {
  if (segments.some((segment) => segment.includes('/'))) return [];
  const sizes = depth === 'dynamic' ? segments.map((_, size) => size) : [depth];
  const ofApi = api && segments[0] === 'api' ? sizes.map((size) => match(API, segments.slice(1), size)) : [];
  const others = sizes.map((size) => match(PLAIN, segments, size));
  return [match(COMMON, segments, 0), ...ofApi, ...others].filter((endpoint) => endpoint !== undefined);
}

/** Reads a path below `/v2/<repository>` from its end, where it is unambiguous. */
export function imageEndpointOf(segments: readonly string[], depth: Depth): ImageEndpoint | undefined {
  const parts = segments.flatMap((segment) => segment.split('/'));
  const name = parts.at(-3);
  const tenant = parts.slice(0, -3);
  if (name === undefined || (depth !== 'dynamic' && tenant.length !== depth)) return undefined;
  const place = { tenant: tenant.join('/'), name };
  const [word, reference] = parts.slice(-2) as [string, string];
  if (word === 'tags' && reference === 'list') return { ...place, kind: 'tags' };
  if (word === 'manifests') return { ...place, kind: 'manifest', reference };
  return word === 'blobs' ? { ...place, kind: 'blob', reference } : undefined;
}

/** @param size segments of the tenant */
function match(among: readonly Pattern[], segments: readonly string[], size: number): Endpoint | undefined {
  const tenant = segments.slice(0, size).join('/');
  const path = segments.slice(size).join('/');
  for (const [pattern, classes] of among) {
    const found = pattern.exec(path);
    if (found !== null) return { classes, place: { tenant, ...found.groups } };
  }
  return undefined;
}
