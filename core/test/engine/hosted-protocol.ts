import { type EntrepotError, parseHex, type Entry, type HostedChange, type RequestHead } from '../../src/index.js';
import { type BoundResource, type UploadResource } from '../../src/engine/request/resource.js';
import { type EngineProtocol } from '../../src/engine/request/protocol.js';

/** Hooks that a test replaces. */
export interface Hooks {
  receive?: EngineProtocol['receive'];
  alter?: EngineProtocol['alter'];
  render?: EngineProtocol['render'];
  join?: EngineProtocol['join'];
  rewrite?: EngineProtocol['rewrite'];
  /** Fields that differ in resources of uploads. */
  upload?: Partial<UploadResource>;
}

/**
 * A registry that is as small as its format: `PUT /files/*`, `LINK /files/*?from=`, `DELETE`; `POST /uploads`,
 * `PATCH|GET|DELETE /uploads/<id>`, `PUT /uploads/<id>?name=&digest=`; `GET /list/<prefix>?after=&limit=&requires=&empty`.
 */
export function hostedProtocol(hooks: Hooks = {}): EngineProtocol {
  const { upload, ...rest } = hooks;
  return {
    route: (head) => route(head, upload),
    sessionReply: (session, { id, size }, { baseUrl }) => ({
      status: session.action === 'status' || session.action === 'cancel' ? 204 : 202,
      headers: { Location: `${baseUrl}/uploads/${id}`, Range: `0-${Math.max(0, size - 1)}` },
    }),
    renderError: (error: EntrepotError) => ({ mediaType: 'text/plain', body: error.code }),
    async *render(_document, entries) {
      for await (const { key, size } of entries) yield `${key} ${size}\n`;
    },
    ...Object.fromEntries(Object.entries(rest).filter(([, hook]) => hook !== undefined)),
  };
}

function route(
  { method, segments, query, header }: RequestHead,
  differs: Partial<UploadResource> | undefined,
): BoundResource | undefined {
  const [kind, ...rest] = segments;
  const filename = rest.join('/');
  const key = segments.join('/');
  const digest = query.get('digest');
  const upload = (action: UploadResource['action'], path: string): UploadResource => ({
    kind: 'upload',
    action,
    key: path,
    class: 'artifact',
    filename: path,
    overwrite: query.has('overwrite'),
    maxBytes: 50_000_000,
    attributes: Object.fromEntries(query),
    ...(digest !== null && {
      integrity: [parseHex(digest.length === 128 ? 'sha512' : 'sha256', digest)].filter((sum) => sum !== undefined),
    }),
    ...differs,
  });
  if (kind === 'uploads') {
    const [, first, last] = /^(\d+)-(\d+)$/.exec(header('content-range') ?? '') ?? [];
    const step = {
      kind: 'session',
      class: 'artifact',
      scope: query.get('scope') ?? 'one',
      ...(filename !== '' && { id: filename }),
      ...(first !== undefined && { range: { start: Number(first), end: Number(last) } }),
      maxBytes: 1_000_000,
    } as const;
    const name = query.get('name');
    const action = { POST: 'open', PATCH: 'append', GET: 'status', DELETE: 'cancel', PUT: 'complete' } as const;
    const from = query.get('from');
    return {
      ...step,
      action: action[method as keyof typeof action],
      ...(name !== null && { upload: upload(from === null ? 'put' : 'link', `files/${name}`) }),
    };
  }
  if (method === 'PUT' || method === 'DELETE' || method === 'LINK')
    return upload(method === 'PUT' ? 'put' : method === 'DELETE' ? 'delete' : 'link', key);
  if (kind === 'files') {
    return {
      kind: 'artifact',
      key,
      class: 'artifact',
      upstreamPath: key,
      filename,
      digestHeader: 'X-Digest',
      replyHeaders: { 'X-Registry': 'yes' },
    };
  }
  if (kind === 'text') {
    return { kind: 'document', key, class: 'document', upstreamPath: key, rewritten: true, mediaType: 'text/plain' };
  }
  if (kind !== 'list') return undefined;
  const limit = query.get('limit');
  return {
    kind: 'document',
    key,
    class: 'document',
    upstreamPath: key,
    mediaType: 'text/plain',
    variant: query.get('variant') ?? undefined,
    fromEntries: {
      prefix: filename,
      after: query.get('after') ?? undefined,
      limit: limit === null ? undefined : Number(limit),
      orEmpty: query.has('empty'),
      requires: query.get('requires') ?? undefined,
    },
  };
}

/** A change that puts the bytes of `entry` under `key`. */
export function linkTo(entry: Entry, key: string): HostedChange {
  return { replace: [{ key, sameAs: entry, mediaType: entry.mediaType }] };
}
