import type { HelmOptions } from './options.js';

/** What a path of ChartMuseum's API names. A tenant is segments with `/` between them, or empty. */
export type Endpoint =
  | { readonly kind: 'welcome' | 'health' | 'info' }
  | { readonly kind: 'index' | 'charts'; readonly tenant: string }
  | { readonly kind: 'artifact-hub' | 'provenances'; readonly tenant: string }
  | { readonly kind: 'file'; readonly tenant: string; readonly file: string }
  | { readonly kind: 'chart'; readonly tenant: string; readonly name: string }
  | {
      readonly kind: 'version' | 'templates' | 'values';
      readonly tenant: string;
      readonly name: string;
      readonly version: string;
    };

/** What a path below `/v2` names, by the distribution specification. */
export type ImageEndpoint = { readonly tenant: string; readonly name: string } & (
  { readonly kind: 'tags' } | { readonly kind: 'manifest' | 'blob'; readonly reference: string }
);

type Depth = HelmOptions['depth'];

/** The methods of an endpoint; HEAD is as GET. */
export const METHODS: Readonly<Record<Endpoint['kind'], readonly string[]>> = {
  welcome: ['GET'],
  health: ['GET'],
  info: ['GET'],
  index: ['GET'],
  'artifact-hub': ['GET'],
  file: ['GET'],
  charts: ['GET', 'POST'],
  provenances: ['POST'],
  chart: ['GET'],
  version: ['GET', 'DELETE'],
  templates: ['GET'],
  values: ['GET'],
};

/**
 * What a path can name. More than one thing only where tenants are of any depth, or have the names of routes
 * (`/api/charts/charts`): what comes first goes first.
 */
export function endpointsOf(segments: readonly string[], depth: Depth, api: boolean): Endpoint[] {
  if (segments.some((segment) => segment.includes('/'))) return [];
  const [first = ''] = segments;
  if (segments.length === 0) return [{ kind: 'welcome' }];
  const common: Endpoint[] = segments.length === 1 && (first === 'health' || first === 'info') ? [{ kind: first }] : [];
  const depths = depthsOf(depth, segments.length);
  const ofApi = api && first === 'api' ? depths.map((size) => split(segments.slice(1), size)) : [];
  const others = depths.map((size) => split(segments, size));
  return [
    ...common,
    ...ofApi.map(({ tenant, rest }) => apiEndpoint(tenant, rest)),
    ...others.map(({ tenant, rest }) => plainEndpoint(tenant, rest)),
  ].filter((endpoint) => endpoint !== undefined);
}

/** What a path below `/v2/<repository>` names; read from its end, where there is no doubt. */
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
  if (word === 'prov' && name === undefined) return { kind: 'provenances', tenant };
  if (word !== 'charts' || more.length > 0) return undefined;
  if (name === undefined) return { kind: 'charts', tenant };
  if (version === undefined) return { kind: 'chart', tenant, name };
  if (part === undefined) return { kind: 'version', tenant, name, version };
  return part === 'templates' || part === 'values' ? { kind: part, tenant, name, version } : undefined;
}

function plainEndpoint(tenant: string, rest: readonly string[]): Endpoint | undefined {
  const [word, file, ...more] = rest;
  if (word === 'index.yaml' && file === undefined) return { kind: 'index', tenant };
  if (word === 'artifacthub-repo.yml' && file === undefined) return { kind: 'artifact-hub', tenant };
  if (word !== 'charts' || file === undefined || more.length > 0) return undefined;
  return /.\.tgz(?:\.prov)?$/.test(file) ? { kind: 'file', tenant, file } : undefined;
}

function depthsOf(depth: Depth, most: number): number[] {
  return depth === 'dynamic' ? Array.from({ length: most }, (_, size) => size) : [depth];
}

function split(segments: readonly string[], size: number): { tenant: string; rest: readonly string[] } {
  return { tenant: segments.slice(0, size).join('/'), rest: segments.slice(size) };
}
