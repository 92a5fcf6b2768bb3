import { Readable } from 'node:stream';
import type { EngineRequest } from './request.js';

/** A request as far as it names what it is for. */
export type RequestPlace = Pick<EngineRequest, 'rawPath' | 'rawQuery' | 'mount'>;

/** Makes a request of the server itself, which says nothing but its place. */
export function plainGet({ rawPath, rawQuery, mount }: RequestPlace): EngineRequest {
  return {
    method: 'GET',
    rawPath,
    rawQuery,
    mount,
    header: () => undefined,
    body: Readable.from([]),
    baseUrl: '',
    signal: new AbortController().signal,
  };
}
