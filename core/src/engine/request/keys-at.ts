import { plainGet, type RequestPlace } from './plain-get.js';
import type { AliasResource, BoundResource, DocumentResource } from './resource.js';
import type { Routing } from './routing.js';

/** Steps that are followed: redirects of the repository to its own paths, forms of one document. */
const MAX_STEPS = 10;

/**
 * Finds the keys under which that is stored which a GET of a path is for: what is published with it, and other forms of it, too.
 * @param keysOfAlias finds those of a path that stands for another resource
 * @returns none for what is asked of the upstream each time, and for what is made of other entries
 * @throws EntrepotError as `route`
 */
export async function keysAt(
  routing: Routing,
  place: RequestPlace,
  keysOfAlias: (alias: AliasResource) => Promise<readonly string[]>,
): Promise<readonly string[]> {
  let rawPath: string | undefined = place.rawPath;
  for (let steps = 0; steps < MAX_STEPS && rawPath !== undefined; steps += 1) {
    const resource = routing.route(plainGet({ ...place, rawPath }));
    if (resource.kind === 'alias') return await keysOfAlias(resource);
    if (resource.kind !== 'local') return keysOf(resource);
    rawPath = redirectedTo(rawPath, resource.headers?.['Location']);
  }
  return [];
}

function keysOf(resource: Exclude<BoundResource, { readonly kind: 'local' }>): readonly string[] {
  if (resource.kind === 'artifact') return (resource.publishedWith ?? [resource]).map(({ key }) => key);
  const keys: string[] = [];
  let form: DocumentResource | undefined = resource.kind === 'document' ? resource : undefined;
  while (form !== undefined && keys.length < MAX_STEPS) {
    keys.push(form.key);
    const { alternative }: DocumentResource = form;
    form = alternative === undefined || 'status' in alternative ? undefined : alternative;
  }
  return keys;
}

/** The path that a redirect leads to. Only a relative one is known to stay in the repository. */
function redirectedTo(rawPath: string, location: string | undefined): string | undefined {
  if (location === undefined || /^(?:\/|[a-z][a-z0-9+.-]*:)/i.test(location)) return undefined;
  const base = `http://localhost${rawPath}`;
  return URL.canParse(location, base) ? new URL(location, base).pathname : undefined;
}
