import type { HelmOptions } from './options.js';

type EndpointKind =
  'welcome' | 'health' | 'info' | 'index' | 'artifacthub' | 'file' | 'charts' | 'provenances' | 'chart' | VersionKind;
type VersionKind = 'version' | 'templates' | 'values';

/** A path of ChartMuseum's API. */
export interface Endpoint {
  readonly kind: EndpointKind;
  readonly place: Place;
}

/** Names in a path. */
interface Place {
  /** Segments with `/` between them, or empty. */
  readonly tenant?: string;
  readonly file?: string;
  readonly name?: string;
  readonly version?: string;
}

/** A path of the distribution specification below `/v2`. */
export type ImageEndpoint = { readonly tenant: string; readonly name: string } & (
  { readonly kind: 'tags' } | { readonly kind: 'manifest' | 'blob'; readonly reference: string }
);

type Depth = HelmOptions['depth'];

/** The class that a method on an endpoint names. HEAD is as GET. */
export const CLASS_OF: Readonly<Record<EndpointKind, Readonly<Record<string, string>>>> = {
  welcome: { GET: 'welcome' },
  health: { GET: 'health' },
  info: { GET: 'info' },
  index: { GET: 'index' },
  artifacthub: { GET: 'artifacthub' },
  file: { GET: 'chart' },
  charts: { GET: 'listing', POST: 'upload' },
  provenances: { POST: 'provenanceUpload' },
  chart: { GET: 'versions' },
  version: { GET: 'version', DELETE: 'delete' },
  templates: { GET: 'templates' },
  values: { GET: 'values' },
};

/**
 * Reads a path. It has several endpoints only where tenants are of any depth, or have the names of routes
 * (`/api/charts/charts`): the first one is preferred.
 */
export function endpointsOf(segments: readonly string[], depth: Depth, api: boolean): Endpoint[] {
  if (segments.some((segment) => segment.includes('/'))) return [];
  const [first = ''] = segments;
  if (segments.length === 0) return [{ kind: 'welcome', place: {} }];
  const common: Endpoint[] =
    segments.length === 1 && (first === 'health' || first === 'info') ? [{ kind: first, place: {} }] : [];
  const depths = depthsOf(depth, segments.length);
  const ofApi = api && first === 'api' ? depths.map((size) => split(segments.slice(1), size)) : [];
  const others = depths.map((size) => split(segments, size));
  return [
    ...common,
    ...ofApi.map(({ tenant, rest }) => apiEndpoint(tenant, rest)),
    ...others.map(({ tenant, rest }) => plainEndpoint(tenant, rest)),
  ].filter((endpoint) => endpoint !== undefined);
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

function apiEndpoint(tenant: string, rest: readonly string[]): Endpoint | undefined {
  const [word, name, version, part, ...more] = rest;
  if (word === 'prov' && name === undefined) return { kind: 'provenances', place: { tenant } };
  if (word !== 'charts' || more.length > 0) return undefined;
  if (name === undefined) return { kind: 'charts', place: { tenant } };
  if (version === undefined) return { kind: 'chart', place: { tenant, name } };
  const place = { tenant, name, version };
  if (part === undefined) return { kind: 'version', place };
  return part === 'templates' || part === 'values' ? { kind: part, place } : undefined;
}

function plainEndpoint(tenant: string, rest: readonly string[]): Endpoint | undefined {
  const [word, file, ...more] = rest;
  if (word === 'index.yaml' && file === undefined) return { kind: 'index', place: { tenant } };
  if (word === 'artifacthub-repo.yml' && file === undefined) return { kind: 'artifacthub', place: { tenant } };
  if (word !== 'charts' || file === undefined || more.length > 0) return undefined;
  return /.\.tgz(?:\.prov)?$/.test(file) ? { kind: 'file', place: { tenant, file } } : undefined;
}

function depthsOf(depth: Depth, most: number): number[] {
  return depth === 'dynamic' ? Array.from({ length: most }, (_, size) => size) : [depth];
}

function split(segments: readonly string[], size: number): { tenant: string; rest: readonly string[] } {
  return { tenant: segments.slice(0, size).join('/'), rest: segments.slice(size) };
}
