import {
  EntrepotError,
  requireMethod,
  type RepositoryFacts,
  type RequestHead,
  type Resource,
  type Route,
} from '@entrepot/core';
import { Lru } from '@entrepot/core/formats';
import type { Descriptor } from './manifest.js';
import { DIGEST_HEADER } from './media-types.js';
import { isNamespace, namespaceOf } from './namespaces.js';
import type { ImageRule, OciOptions } from './options.js';
import { pageOf, passedQuery, type Page } from './paging.js';
import { integrityIn, KEY, parseEndpoint, requireDigest } from './reference.js';
import { ROOT } from './select.js';

/** A name and a digest. What is longer names no blob that could be asked for. */
const LONGEST_KEY = 512;
/** The number of sizes of blobs that are remembered from manifests. */
const MAX_SIZES = 20_000;

/** Data of resources that the hooks of a proxy need. */
export interface ProxyAttributes {
  /** The name as the client spells it: `nginx` for `library/nginx`. Absent for the catalog. */
  readonly name?: string;
  /** The registry that containerd believes to talk to. */
  readonly namespace?: string;
  /** The part of a list that is asked for. `isMarked`: by a token that only the upstream understands. */
  readonly page?: Page & { readonly isMarked: boolean };
  /** The subject of referrers. */
  readonly subject?: string;
  /** The form of a list of referrers. */
  readonly form?: 'api' | 'tag' | 'none';
}

/** Reads the data that `route` gave a resource. */
export function attributesOf(resource: Resource): ProxyAttributes {
  return resource.attributes as ProxyAttributes;
}

/** Gives the name as the upstream has it. */
export const nameOf = ({ coordinates }: Resource): string => coordinates?.name ?? '';
export const accessName = (resource: Resource): string | undefined => attributesOf(resource).name;
export const tokenScope = (resource: Resource): string => `repository:${nameOf(resource)}:pull`;

/** Names the registry that containerd asked for, and the digest that a client asked by. */
export function repliedHeaders(resource: Resource): Readonly<Record<string, string>> {
  const { namespace } = attributesOf(resource);
  const [integrity] = resource.integrity ?? [];
  return {
    ...(namespace !== undefined && { 'OCI-Namespace': namespace }),
    ...(integrity?.algorithm === 'sha512' && { [DIGEST_HEADER]: `sha512:${integrity.hex}` }),
  };
}

const READ_ONLY = 'This repository is a proxy: it can only be pulled from';

/** A pull-through proxy of a registry. */
export class OciProxy {
  readonly repository: string;
  readonly options: OciOptions;
  /** The sizes of blobs by key, as manifests of their name said: some registries refuse HEAD for blobs. */
  readonly sizes = new Lru<number>(MAX_SIZES);
  readonly #isDockerHub: boolean;

  constructor(options: OciOptions, repository: RepositoryFacts) {
    this.repository = repository.name;
    this.options = options;
    this.#isDockerHub = options.library ?? repository.upstreams.some(({ url }) => namespaceOf(url) === 'docker.io');
  }

  route(head: RequestHead): Route | undefined {
    const endpoint = parseEndpoint(head.segments);
    if (endpoint === undefined) return undefined;
    if (endpoint.kind === 'root') return ROOT;
    requireMethod(head, ['GET'], READ_ONLY);
    // Not even the state of an upload can be read.
    if (endpoint.kind === 'uploads' || endpoint.kind === 'session')
      throw new EntrepotError('method-not-allowed', READ_ONLY, { headers: { Allow: 'GET, HEAD' } });
    const asked = head.query.get('ns');
    const namespace = asked !== null && isNamespace(asked) ? asked : undefined;
    if (endpoint.kind === 'catalog') return listResource('catalog', 'catalog', 'v2/_catalog', head, { namespace });
    const name = this.#upstreamName(endpoint.name);
    const common = { coordinates: { ecosystem: 'oci', name }, attributes: { name: endpoint.name, namespace } };
    if (endpoint.kind === 'tags')
      return { ...common, ...listResource('tags', `tags/${name}`, `v2/${name}/tags/list`, head, common.attributes) };
    if (endpoint.kind === 'manifest') {
      const { reference } = endpoint;
      const integrity = integrityIn(reference);
      const of = integrity === undefined ? 'tag' : 'manifest';
      const coordinates = { ecosystem: 'oci', name, version: reference };
      const path = `v2/${name}/manifests/${reference}`;
      return { ...common, class: of, key: KEY[of](name, reference), path, coordinates, integrity };
    }
    const { digest } = endpoint;
    const integrity = [requireDigest(digest)];
    if (endpoint.kind === 'blob')
      return { ...common, class: 'blob', key: KEY.blob(name, digest), path: `v2/${name}/blobs/${digest}`, integrity };
    const query = passedQuery(head);
    return {
      ...common,
      class: 'referrers',
      key: `referrers/${name}@${digest}${query}`,
      path: `v2/${name}/referrers/${digest}${query}`,
      variant: endpoint.name,
      attributes: { ...common.attributes, subject: digest, form: 'api' },
    };
  }

  /** Remembers the sizes of blobs of a name. */
  learnSizes(name: string, blobs: readonly Descriptor[]): void {
    for (const { digest, size } of blobs) {
      const key = KEY.blob(name, digest);
      if (key.length <= LONGEST_KEY) this.sizes.set(key, size);
    }
  }

  /** Finds the rule of an image. */
  ruleOf(name: string): ImageRule | undefined {
    return this.options.rules?.find(({ match }) => match(name));
  }

  /** The name as the upstream has it. Docker Hub keeps its official images under `library/`. */
  #upstreamName(name: string): string {
    const full = this.#isDockerHub && !name.includes('/') ? `library/${name}` : name;
    const { allow, deny } = this.options;
    const isRefused = this.ruleOf(full)?.policy === 'deny';
    if (allow?.(full) !== false && deny?.(full) !== true && !isRefused) return full;
    throw new EntrepotError(
      'forbidden',
      `${full} may not be pulled through this repository (its ${isRefused ? 'option rules' : 'options allow and deny'})`,
      { code: 'DENIED' },
    );
  }
}

/** Names a page of an upstream's list. An empty page (`n=0`) is made from the first one. */
function listResource(
  list: string,
  key: string,
  path: string,
  head: RequestHead,
  attributes: { readonly name?: string; readonly namespace: string | undefined },
): Resource {
  const { n, last } = pageOf(head.query);
  const { name = '' } = attributes;
  const query = n === 0 ? '' : passedQuery(head);
  const isMarked = [...new URLSearchParams(query).keys()].some((member) => member !== 'n' && member !== 'last');
  return {
    class: list,
    key: key + query,
    path: path + query,
    variant: n === 0 ? `${name} nothing` : name,
    attributes: { ...attributes, page: n === 0 ? { n } : { n, last, isMarked } },
  };
}

/**
 * The next form of a list of referrers that is not found. A registry without the API keeps the same list under a tag (distribution
 * specification, "Referrers Tag Schema"). What nothing refers to has an empty index, never 404 ("Listing Referrers"); it is kept as any
 * other list, so that it is known while the upstream is down.
 */
export function nextForm(list: Resource): Resource | undefined {
  const { form, subject = '' } = attributesOf(list);
  const name = nameOf(list);
  const tag = subject.replace(':', '-');
  const as = (next: ProxyAttributes['form'], key: string, path?: string): Resource => {
    return { ...list, key, path, attributes: { ...list.attributes, form: next } };
  };
  if (form === 'api') return as('tag', `referrers/${name}:${tag}`, `v2/${name}/manifests/${tag}`);
  return form === 'tag' ? as('none', `referrers/${name}@${subject}/none`) : undefined;
}
