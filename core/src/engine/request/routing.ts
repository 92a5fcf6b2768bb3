import { EntrepotError } from '../../api/errors.js';
import type { AnyDeclaredPlugin } from '../../plugin/protocol.js';
import { Lru } from '../../formats/lru.js';
import type { Protocol } from './protocol.js';
import { requestHead } from './request-head.js';
import { parseRequestPath, withoutEmptySegments } from './request-path.js';
import type { EngineRequest } from './request.js';
import type { BoundResource } from './resource.js';

/** The bound on remembered targets of one repository, and the weight of each besides its text. Bytes. */
const MAX_BYTES = 4 * 1024 * 1024;
const OVERHEAD = 600;
/** The kinds of resources that are remembered. */
const REMEMBERED: ReadonlySet<string> = new Set<BoundResource['kind']>(['artifact', 'document', 'alias']);

/**
 * Names what requests are for. Routing is pure: what looked at no header names the same for everybody who asks for that target, and is
 * remembered.
 */
export class Routing {
  readonly #plugin: AnyDeclaredPlugin;
  readonly #protocol: Protocol;
  readonly #known = new Lru<BoundResource>(MAX_BYTES, (_resource, target) => target.length + OVERHEAD);

  constructor({ plugin, protocol }: { readonly plugin: AnyDeclaredPlugin; readonly protocol: Protocol }) {
    this.#plugin = plugin;
    this.#protocol = protocol;
  }

  /** @throws EntrepotError `not-found`, or as the plugin refuses the request */
  route(request: EngineRequest): BoundResource {
    const { method, mount, rawPath, rawQuery } = request;
    if (method !== 'GET' && method !== 'HEAD') return this.#routed(request).resource;
    const target = mount === undefined && rawQuery === '' ? rawPath : `${mount ?? ''} ${rawPath}?${rawQuery}`;
    const known = this.#known.get(target);
    if (known !== undefined) return known;
    const { resource, isForAll } = this.#redirected(request) ?? this.#routed(request);
    requireSafe(resource, method);
    if (isForAll && REMEMBERED.has(resource.kind)) this.#known.set(target, resource);
    return resource;
  }

  #routed(request: EngineRequest): Routed {
    const head = requestHead(request, this.#plugin.http);
    const resource = this.#protocol.route(head);
    if (resource === undefined)
      throw new EntrepotError('not-found', 'Nothing is served under this path', { code: 'NO_ROUTE' });
    return { resource, isForAll: !head.wasHeaderRead };
  }

  /** The redirect to the same path without empty segments, where clients of the format follow one. */
  #redirected({ rawPath, rawQuery }: EngineRequest): Routed | undefined {
    const path = this.#plugin.http?.dotSegments === 'redirect' ? withoutEmptySegments(rawPath) : undefined;
    if (path === undefined) return undefined;
    // Safe, or it is refused as any other.
    parseRequestPath(path);
    // Relative, so that mounts and proxies in front need not be known.
    const up = '../'.repeat(rawPath.split('/').length - 2);
    const Location = `${up}${path.slice(1)}${rawQuery === '' ? '' : `?${rawQuery}`}`;
    return { resource: { kind: 'local', status: 308, headers: { Location } }, isForAll: false };
  }
}

interface Routed {
  readonly resource: BoundResource;
  /** Whether it is the same for everybody. */
  readonly isForAll: boolean;
}

/**
 * GET and HEAD change nothing (RFC 9110 §9.2.1), whatever a plugin makes of them: browsers, crawlers and proxies send them
 * unasked, and nothing that guards changes looks at them.
 */
function requireSafe(resource: BoundResource, method: string): void {
  const isChange = resource.kind === 'upload' || (resource.kind === 'session' && resource.action !== 'status');
  if (isChange)
    throw new EntrepotError('method-not-allowed', `${method} changes nothing; expected POST, PUT, PATCH or DELETE`);
}
