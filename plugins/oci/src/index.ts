import {
  defineProtocolPlugin,
  EntrepotError,
  type Protocol,
  type RequestHead,
  type SharedAnswer,
  type SharedRepository,
} from '@entrepot/core';
import { clientSetup } from './client-setup.js';
import { OciHosted } from './hosted.js';
import { isNamespace, namespaceOf } from './namespaces.js';
import { ociOptions, strangeOptions, type OciOptions } from './options.js';
import { OciProxy } from './proxy.js';
import { sharedCatalog } from './shared-catalog.js';

export type { OciOptions } from './options.js';

/** Headers by which docker knows a registry, also in errors (oldest clients look for it in the 401 of `/v2/`). */
const REPLY_HEADERS = { 'Docker-Distribution-API-Version': 'registry/2.0' };

/** OCI images and artifacts: a pull-through proxy of any registry, and hosted registries. */
export default defineProtocolPlugin({
  id: 'oci',
  kinds: ['proxy', 'hosted'],
  options: ociOptions,
  inject: {},
  sharedMounts: ['/v2'],
  mountAlone: '/v2',
  replyHeaders: REPLY_HEADERS,
  warnsStale: true,
  classes: {
    blob: {
      kind: 'artifact',
      description: 'Layers and configurations, by digest.',
      freshness: { expireAfter: Infinity },
      cacheControl: 'max-age=31536000, immutable',
    },
    manifest: {
      kind: 'artifact',
      description: 'Manifests and indexes, by digest.',
      freshness: { expireAfter: Infinity },
      cacheControl: 'max-age=31536000, immutable',
    },
    // A signature is pushed as a tag right after its image: what was not there a moment ago may be there now.
    tag: { kind: 'document', description: 'Manifests and indexes, by tag.', freshness: { negativeFor: 5_000 } },
    tags: { kind: 'document', description: 'Lists of tags.', freshness: { freshFor: 60_000 }, keepHeaders: ['link'] },
    referrers: {
      kind: 'document',
      description: 'Lists of what refers to a manifest: signatures, attestations, SBOMs.',
      freshness: { freshFor: 60_000, negativeFor: 5_000 },
      keepHeaders: ['link', 'oci-filters-applied'],
    },
    catalog: {
      kind: 'document',
      description: 'Lists of names.',
      freshness: { freshFor: 60_000 },
      keepHeaders: ['link'],
    },
  },
  clientSetup,
  select,
  create({ options, repository }) {
    const { kind, name } = repository;
    const [strange] = strangeOptions(options, kind);
    if (strange !== undefined) {
      throw new EntrepotError('configuration', `repositories.${name}.${strange}: not an option of kind: ${kind}`);
    }
    const protocol = kind === 'proxy' ? new OciProxy(options, repository) : new OciHosted(options);
    return Object.assign(protocol, { challenge: challengeOf(name) });
  },
});

/**
 * The repository that a request means. `?ns=` of containerd says which registry it believes to talk to: it is looked up
 * among ours, and never dialled. A name that begins as one of our repositories is called is still a name of that registry,
 * unless the repository mirrors it, too: then the client was given that path (`override_path`).
 */
function select(
  head: RequestHead,
  repositories: readonly SharedRepository[],
  named?: string,
): SharedAnswer | undefined {
  const headers = { ...REPLY_HEADERS, 'Content-Type': 'application/json' };
  if (head.segments.length === 0) return { reply: { kind: 'local', status: 200, headers, body: '{}' }, guarded: true };
  if (named === undefined && head.segments.length === 1 && head.segments[0] === '_catalog')
    return sharedCatalog(head, repositories);
  const asked = head.query.getAll('ns');
  if (asked.length === 0) return undefined;
  const [host = ''] = asked;
  const namespace = asked.length === 1 && isNamespace(host) ? namespaceOf(host) : undefined;
  const mirrors = repositories.filter(
    (repository) => namespace !== undefined && namespacesOf(repository).includes(namespace),
  );
  if (mirrors.some(({ name }) => name === named)) return undefined;
  const [found] = mirrors;
  if (found !== undefined) return { repository: found.name };
  if (named !== undefined) return undefined;
  const body = JSON.stringify({
    errors: [{ code: 'NAME_UNKNOWN', message: 'No repository here is a mirror of the registry that ns names' }],
  });
  return { reply: { kind: 'local', status: 404, headers, body } };
}

function namespacesOf({ type, kind, options, upstreams }: SharedRepository): (string | undefined)[] {
  if (type !== 'oci' || kind !== 'proxy') return [];
  const { namespaces } = options as OciOptions;
  return (namespaces ?? upstreams.map(({ url }) => url)).map(namespaceOf);
}

/**
 * Sends a client to our token endpoint (distribution specification, "Token Authentication"). Its scopes begin with the
 * name of the repository, whichever way the request came in.
 */
function challengeOf(repository: string): NonNullable<Protocol['challenge']> {
  return ({ right, name }, { baseUrl }) => {
    const { origin, host } = new URL(baseUrl);
    const actions = right === 'read' ? 'pull' : 'pull,push';
    const scope = name === undefined ? '' : `,scope="repository:${repository}/${name}:${actions}"`;
    return `Bearer realm="${origin}/-/token",service="${host}"${scope}`;
  };
}
