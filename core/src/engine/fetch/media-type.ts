import type { Content } from '../../api/content.js';
import type { ArtifactResource, DocumentResource } from '../request/resource.js';
import { bareMediaType } from '../store/content.js';

/** Types that servers give to what they do not know. */
const SAYS_NOTHING = new Set(['text/plain', 'application/json', 'application/octet-stream']);

/** Whether the bytes themselves have to say what they are: the upstream does not, and the protocol can read it from them. */
export function isUnsettled(resource: ArtifactResource | DocumentResource, said: string | undefined): boolean {
  if (!resource.readsMediaType || resource.mediaType !== undefined) return false;
  return said === undefined || SAYS_NOTHING.has(bareMediaType(said));
}

/** The media type to keep bytes under: what the upstream said of them, where that says something. */
export async function settledMediaType(
  resource: ArtifactResource | DocumentResource,
  said: string | undefined,
  content: Content,
): Promise<string> {
  const fallback = said ?? resource.fallbackMediaType ?? 'application/octet-stream';
  if (!isUnsettled(resource, said)) return fallback;
  return (await resource.mediaTypeOf(content)) ?? fallback;
}
