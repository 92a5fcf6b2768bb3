import { bareMediaType } from '../store/content.js';
import type { Encoding } from '../store/renditions.js';
import type { EngineRequest } from '../request/request.js';

/** A document below this size is not worth compressing. Bytes. */
const MIN_COMPRESSED = 1024;
const COMPRESSIBLE = /^text\/|[/+](?:json|xml|yaml|x-yaml|javascript)$|install-v1\+json/;

/** Chooses the coding for a document of `size` bytes: gzip where the client takes it and it is worth it (RFC 9110 §12.5.3). */
export function chooseEncoding(request: EngineRequest, mediaType: string, size: number): Encoding {
  if (size < MIN_COMPRESSED || !acceptsGzip(request)) return 'identity';
  return COMPRESSIBLE.test(bareMediaType(mediaType)) ? 'gzip' : 'identity';
}

/** Whether the client takes gzip. */
export function acceptsGzip(request: EngineRequest): boolean {
  const accepted = request.header('accept-encoding');
  return accepted?.includes('gzip') === true && !/gzip\s*;\s*q=0(?:\.0*)?(?:$|[\s,])/.test(accepted);
}
