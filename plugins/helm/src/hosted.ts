import { readFileSync } from 'node:fs';
import { basename } from 'node:path/posix';
import {
  EntrepotError,
  requireMethod,
  type AccessNeed,
  type ChangeReply,
  type Clock,
  type RequestHead,
  artifactClass,
  documentClass,
  type LocalReply,
  type Resource,
  type Route,
} from '@entrepot/core';
import { chartFileName, encodedTenant } from './chart-url.js';
import { KEY } from './keys.js';
import { CHART_TYPE, PROVENANCE_TYPE } from './media-types.js';
import type { HelmOptions } from './options.js';
import { endpointsOf, imageEndpointOf, type Place } from './routes.js';

/** ChartMuseum's name for all charts, where there are no tenants. */
const ALL_CHARTS = 'repo';
const JSON_TYPE = 'application/json';

const { version: VERSION } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

/** A repository of charts of our own: ChartMuseum's API, and the same charts as images. */
export class HelmHosted {
  readonly name: string;
  readonly options: HelmOptions;
  readonly clock: Clock;

  constructor(name: string, options: HelmOptions, clock: Clock) {
    this.name = name;
    this.options = options;
    this.clock = clock;
  }

  route(head: RequestHead): Route | undefined {
    if (head.mount === '/v2') return this.#routeImage(head);
    if (head.trailingSlash && head.segments.length > 0) return undefined;
    const { depth, api } = this.options;
    const endpoints = endpointsOf(head.segments, depth, api);
    const method = head.method === 'HEAD' ? 'GET' : head.method;
    const found = endpoints.find(({ classes }) => Object.hasOwn(classes, method)) ?? endpoints[0];
    if (found === undefined) return undefined;
    const allowed = requireMethod(head, Object.keys(found.classes));
    return this.#routeEndpoint(found.classes[allowed] as string, found.place, head);
  }

  #routeEndpoint(name: string, place: Place, head: RequestHead): Route | undefined {
    const { tenant, name: chart = '', file = '', version } = place;
    if (name === 'health') return json({ healthy: true });
    if (name === 'info') return json({ version: VERSION });
    if (name === 'listing') return listing(name, { ...place, ...pageOf(head.query) });
    if (name === 'artifacthub' && this.hubId(tenant) === undefined) return undefined;
    if (name === 'chart') {
      const isProof = file.endsWith('.prov');
      const key = isProof ? KEY.provenances(tenant) + file : KEY.chart(tenant, file);
      return { class: isProof ? 'provenance' : 'chart', key, path: '', attributes: { tenant } };
    }
    if (name === 'upload' || name === 'provenanceUpload') {
      const attributes = { tenant, force: head.query.has('force'), mediaType: head.header('content-type') };
      return { class: name, key: KEY.chart(tenant, ''), path: '', attributes };
    }
    if (name === 'delete') {
      if (!this.options.deletes) return undefined;
      const key = KEY.chart(tenant, chartFileName(chart, version ?? ''));
      return { class: name, key, path: '', attributes: { ...place } };
    }
    const coordinates = version === undefined ? undefined : { ecosystem: 'helm', name: chart, version };
    return { ...listing(name, place), coordinates };
  }

  #routeImage(head: RequestHead): Resource | undefined {
    const endpoint = imageEndpointOf(head.segments, this.options.depth);
    if (endpoint === undefined) return undefined;
    requireMethod(head, ['GET']);
    const { kind, tenant, name } = endpoint;
    if (kind === 'tags') return listing(kind, { tenant, name });
    const { reference } = endpoint;
    const found = kind === 'manifest' && !reference.includes(':') ? 'tag' : kind;
    return { class: found, key: KEY[found](tenant, name, reference), path: '', attributes: { tenant } };
  }

  /** Gives the start of the URLs of a tenant's charts. */
  prefix(tenant: string): string {
    const { chartUrl } = this.options;
    if (chartUrl === undefined) return '';
    return tenant === '' ? `${chartUrl}/` : `${chartUrl}/${encodedTenant(tenant)}/`;
  }

  hubId(tenant: string): string | undefined {
    const { artifactHub } = this.options;
    if (typeof artifactHub !== 'object') return artifactHub;
    return Object.hasOwn(artifactHub, tenant) ? artifactHub[tenant] : undefined;
  }

  /** Asks for credentials as ChartMuseum does: for a password, or for a token of another server. */
  challenge({ right, name }: AccessNeed, baseUrl: string): string {
    const { tokenRealm, tokenService = new URL(baseUrl).host } = this.options;
    if (tokenRealm === undefined) return 'Basic realm="ChartMuseum"';
    const place = name === undefined ? ALL_CHARTS : encodedTenant(name);
    const scope = `artifact-repository:${place}:${right === 'read' ? 'pull' : 'push'}`;
    return `Bearer realm="${tokenRealm}",service="${tokenService}",scope="${scope}"`;
  }

  reply(status: number, body: unknown): ChangeReply {
    return { status, mediaType: JSON_TYPE, body: JSON.stringify(body), headers: this.apiHeaders };
  }

  /** Headers of replies of `/api`. */
  get apiHeaders(): Readonly<Record<string, string>> {
    const { corsAllowOrigin } = this.options;
    return corsAllowOrigin === undefined ? {} : { 'Access-Control-Allow-Origin': corsAllowOrigin };
  }
}

/** Data of a hosted resource; each has those that its class needs. */
export interface HostedAttributes {
  readonly tenant: string;
  readonly name: string;
  readonly version: string;
  /** Charts of a list that are passed over, and those that are listed. */
  readonly offset?: number | undefined;
  readonly limit?: number | undefined;
  /** Whether an upload may replace a version that exists, where that can be asked for. */
  readonly force: boolean;
  /** The type of an upload. */
  readonly mediaType?: string | undefined;
}

/** Reads the data of a hosted resource. */
export function attributesOf({ attributes }: Resource): HostedAttributes {
  return attributes as unknown as HostedAttributes;
}

/** Grants are bound to tenants. */
export const policy = { accessName: (resource: Resource) => attributesOf(resource).tenant || undefined };

const image = {
  policy,
  reply: { digestHeader: 'Docker-Content-Digest', filename: ({ key }: Resource) => basename(key).replace(':', '-') },
} as const;

/** The classes of what is stored in a hosted repository. */
export const FILE_CLASSES = {
  chart: artifactClass<HelmHosted>({
    about: 'Archives of charts.',
    cache: { expireAfter: Infinity },
    reply: { mediaType: CHART_TYPE },
    policy,
  }),
  provenance: artifactClass<HelmHosted>({
    about: 'Provenance files of charts.',
    cache: { expireAfter: Infinity },
    reply: { mediaType: PROVENANCE_TYPE },
    policy: { ...policy, sidecar: true },
  }),
  manifest: artifactClass<HelmHosted>({
    about: 'Charts of a hosted repository as images: manifests, by digest.',
    ...image,
  }),
  blob: artifactClass<HelmHosted>({ about: 'Charts of a hosted repository as images: layers, by digest.', ...image }),
  tag: documentClass<HelmHosted>({ about: 'Charts of a hosted repository as images: manifests, by tag.', ...image }),
};

function listing(name: string, attributes: object): Resource {
  return { class: name, key: `${name} ${JSON.stringify(attributes)}`, path: '', attributes: { ...attributes } };
}

/** @throws EntrepotError `bad-request` */
function pageOf(query: URLSearchParams): Pick<HostedAttributes, 'offset' | 'limit'> {
  const offset = query.get('offset') ?? '0';
  if (!/^\d{1,15}$/.test(offset)) throw new EntrepotError('bad-request', 'offset is not a valid non-negative integer');
  const limit = query.get('limit') ?? undefined;
  if (limit !== undefined && !/^0*[1-9]\d{0,14}$/.test(limit))
    throw new EntrepotError('bad-request', 'limit is not a valid positive integer');
  return { offset: Number(offset), limit: limit === undefined ? undefined : Number(limit) };
}

function json(body: unknown): LocalReply {
  return { status: 200, headers: { 'Content-Type': JSON_TYPE }, body: JSON.stringify(body) };
}
