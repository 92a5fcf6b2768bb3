import type { BoundResource } from '../request/resource.js';
import type { RepositoryDefinition } from '../store/repository.js';
import { plainGet } from '../request/plain-get.js';
import { requestHead } from '../request/request-head.js';

/**
 * Finds the resource that a client names by `rawPath`, for questions of the server itself.
 * @throws EntrepotError as `route`
 */
export function resourceAt({ protocol, plugin }: RepositoryDefinition, rawPath: string): BoundResource | undefined {
  return protocol.route(requestHead(plainGet({ rawPath, rawQuery: '' }), plugin.http));
}
