import { Readable } from 'node:stream';
import type { BoundResource } from '../request/resource.js';
import type { RepositoryDefinition } from '../store/repository.js';
import { requestHead } from '../request/request-head.js';

/**
 * Finds the resource that a client names by `rawPath`, for questions of the server itself.
 * @throws EntrepotError as `route`
 */
export function resourceAt({ protocol, plugin }: RepositoryDefinition, rawPath: string): BoundResource | undefined {
  const request = {
    method: 'GET',
    rawPath,
    rawQuery: '',
    header: () => undefined,
    body: Readable.from([]),
    baseUrl: '',
    signal: new AbortController().signal,
  };
  return protocol.route(requestHead(request, plugin.http));
}
