import type { Entry } from '../../api/entry-index.js';
import type { ChangeReply } from '../../api/hosted.js';
import type { UploadResource } from '../request/resource.js';
import { cacheStatus, outcomeOf, xCache } from '../reply/outcome.js';
import { mergeHeaders } from '../request/merge-headers.js';
import type { EngineReply, EngineRequest } from '../request/request.js';
import type { RepositoryDefinition } from '../store/repository.js';

/** Says 201 for what is new, 200 for what was replaced, 204 for a delete. */
export function defaultReply(
  request: EngineRequest,
  upload: UploadResource,
  kept: Entry | undefined,
  put: readonly Entry[],
): ChangeReply {
  if (upload.action === 'delete') return { status: 204 };
  const entry = put.find(({ key }) => key === upload.key) ?? put[0];
  return {
    status: kept === undefined ? 201 : 200,
    headers: {
      ...(entry !== undefined && { ETag: `"${entry.digest}"` }),
      Location: `${request.baseUrl}${request.rawPath}`,
    },
  };
}

/** Makes the reply for what a hook tells a client. */
export function changeReply(
  { name }: RepositoryDefinition,
  { method }: EngineRequest,
  resource: string,
  { status, headers, mediaType, body = '' }: ChangeReply,
): EngineReply {
  const bytes = Buffer.from(body);
  return {
    status,
    headers: mergeHeaders(
      {
        ...(mediaType !== undefined && { 'Content-Type': mediaType, 'X-Content-Type-Options': 'nosniff' }),
        ...(status !== 204 && { 'Content-Length': String(bytes.length) }),
        'Cache-Control': 'no-store',
        'X-Cache': xCache('upload'),
        'Cache-Status': cacheStatus({ name: 'upload' }),
      },
      headers,
    ),
    body: method === 'HEAD' || status === 204 || bytes.length === 0 ? undefined : bytes,
    outcome: outcomeOf(name, resource, { name: 'upload' }),
  };
}
