import { EntrepotError } from '@entrepot/core';
import type {
  ArtifactResource,
  DocumentResource,
  PackageCoordinates,
  RequestHead,
  Resource,
  UploadResource,
} from '@entrepot/core';
import { lookup } from 'mime-types';
import { isSumList, sidecarPath, subjectPath } from './checksum.js';
import { listingFormat } from './listing.js';
import type { FilesOptions } from './options.js';
import { readPath } from './path.js';
import type { FilePath } from './path.js';
import { ruleFor } from './rules.js';
import type { Rule, RuleTable } from './rules.js';

/** The names in the plugin's `classes`. */
export const CLASS = {
  artifact: 'artifact',
  document: 'document',
  checksum: 'checksum',
  hosted: 'hosted',
  listing: 'listing',
} as const;

/** The longest header of a client that is passed on. */
const LONGEST_HEADER = 1024;
/** The longest part of a path that messages repeat. */
const LONGEST_PRINTED = 200;

/** What `head` names in a proxy repository. */
export function routeProxy(head: RequestHead, options: FilesOptions): Resource {
  if (!isRead(head)) throw notAllowed(head, 'GET, HEAD');
  const path = readPath(head.segments, head.trailingSlash);
  const query = options.query === 'keep' ? head.rawQuery : '';
  const rule = ruleFor(options.table, path.text);
  if (rule.policy === 'deny') throw refusal(path, rule);
  // One key, one resource: a sum file is that for whoever asks, a client or an artifact.
  if (isChecksumFile(path, options.table)) return checksumDocument(path, query, options.table);
  const { redirects = 'directories' } = rule;
  // What a directory index says is never for ever, and it has no sum.
  if (rule.policy === 'immutable' && !path.directory)
    return { ...artifact(path, query, rule, options), ...asClient(head), redirects };
  return {
    kind: 'document',
    class: CLASS.document,
    ...locate(path, query),
    coordinates: coordinatesOf(path),
    keepHeaders: options.passHeaders,
    keepsCoding: true,
    ...asClient(head),
    redirects,
    freshness: { ...rule.freshness, policy: rule.policy === 'bypass' ? 'bypass' : 'revalidate' },
  };
}

/** What `head` names in a hosted repository. The query says nothing. */
export function routeHosted(head: RequestHead, options: FilesOptions): Resource {
  const path = readPath(head.segments, head.trailingSlash);
  if (head.segments.some((segment) => segment.includes('/'))) {
    // Some clients and gateways unescape it on their way: the file would be found by some and not by others.
    throw new EntrepotError('bad-request', 'a file name cannot hold an escaped slash (%2F)');
  }
  if (head.segments.some((segment) => segment.includes('\\'))) {
    throw new EntrepotError('bad-request', 'expected the name of a file in UTF-8, found other bytes in it');
  }
  if (isRead(head)) return path.directory ? listing(head, path) : hostedFile(path);
  const methods = options.allowDelete ? 'GET, HEAD, PUT, DELETE' : 'GET, HEAD, PUT';
  if (head.method !== 'PUT' && !(head.method === 'DELETE' && options.allowDelete)) throw notAllowed(head, methods);
  if (path.directory) {
    throw new EntrepotError('bad-request', `${head.method} needs the path of a file, found one that ends in "/"`);
  }
  return upload(head, path, options);
}

function artifact(path: FilePath, query: string, rule: Rule, options: FilesOptions): ArtifactResource {
  const file = {
    kind: 'artifact',
    class: CLASS.artifact,
    ...locate(path, query),
    filename: filenameOf(path),
    coordinates: coordinatesOf(path),
    keepHeaders: options.passHeaders,
    keepsCoding: true,
    freshness: { ...rule.freshness, policy: 'immutable' },
  } as const satisfies ArtifactResource;
  if (rule.checksum === undefined) return file;
  if (rule.checksum.kind === 'pinned') return { ...file, integrity: rule.checksum.integrity };
  return {
    ...file,
    describedBy: checksumDocument(sidecarPath(path, rule.checksum.sidecar), query, options.table),
    descriptionOptional: !rule.checksum.required,
  };
}

/** The sum file at `path`. Its own rule may say how long it is fresh; it is kept in any case. */
function checksumDocument(path: FilePath, query: string, table: RuleTable): DocumentResource {
  const { policy, freshness } = ruleFor(table, path.text);
  const subject = table.sidecars.map((sidecar) => subjectPath(path, sidecar)).find((found) => found !== undefined);
  return {
    kind: 'document',
    class: CLASS.checksum,
    ...locate(path, query),
    // The sum of one file goes with that file.
    coordinates: coordinatesOf(subject ?? path),
    sidecar: true,
    ...(policy === 'revalidate' ? { freshness } : {}),
  };
}

/**
 * Request headers by which some upstreams choose their answer. Lists of sums are asked for without them: they are read for
 * other clients, too.
 */
function asClient(head: RequestHead): Pick<ArtifactResource, 'askedWith'> {
  const [accept, agent] = [sayable(head.header('accept')), sayable(head.header('user-agent'))];
  return {
    askedWith: { ...(accept !== undefined && { accept }), ...(agent !== undefined && { 'user-agent': agent }) },
  };
}

function sayable(value: string | undefined): string | undefined {
  return value !== undefined && value.length <= LONGEST_HEADER && /^[ -~]+$/.test(value) ? value : undefined;
}

function isChecksumFile(path: FilePath, table: RuleTable): boolean {
  return table.sidecars.some((sidecar) => {
    if (isSumList(path, sidecar)) return true;
    const subject = subjectPath(path, sidecar);
    if (subject === undefined) return false;
    const { checksum } = ruleFor(table, subject.text);
    return checksum?.kind === 'sidecar' && checksum.sidecar.at === 'suffix' && checksum.sidecar.name === sidecar.name;
  });
}

function hostedFile(path: FilePath): ArtifactResource {
  return {
    kind: 'artifact',
    class: CLASS.hosted,
    key: path.key,
    upstreamPath: path.upstreamPath,
    filename: filenameOf(path),
    coordinates: coordinatesOf(path),
  };
}

function listing(head: RequestHead, path: FilePath): DocumentResource {
  const format = listingFormat(head.header('accept'));
  return {
    kind: 'document',
    class: CLASS.listing,
    key: path.key,
    upstreamPath: path.upstreamPath,
    variant: format,
    vary: ['accept'],
    mediaType: format === 'json' ? 'application/json' : 'text/html; charset=utf-8',
    fromEntries: { prefix: path.key === '/' ? '' : path.key },
  };
}

function upload(head: RequestHead, path: FilePath, options: FilesOptions): UploadResource {
  const change = {
    kind: 'upload',
    key: path.key,
    class: CLASS.hosted,
    filename: filenameOf(path),
    coordinates: coordinatesOf(path),
  } as const;
  if (head.method === 'DELETE') return { ...change, action: 'delete', overwrite: false, maxBytes: 0 };
  return {
    ...change,
    action: 'put',
    mediaType: uploadedType(head, filenameOf(path)),
    // RFC 9110 §13.1.2: `If-None-Match: *` asks for a file that does not exist yet.
    overwrite: options.overwrite && head.header('if-none-match')?.trim() !== '*',
    maxBytes: options.maxBytes,
  };
}

/** What the client says, unless it is what curl and wget say of any body; else by the file's extension. */
function uploadedType(head: RequestHead, filename: string): string {
  const said = head.header('content-type')?.trim() ?? '';
  const form = /^application\/x-www-form-urlencoded\b/i.test(said);
  if (!form && said.length <= 255 && /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(?:\s*;[\u0020-\u007e]*)?$/.test(said)) return said;
  return lookup(filename) || 'application/octet-stream';
}

function locate(path: FilePath, query: string): { readonly key: string; readonly upstreamPath: string } {
  const tail = query === '' ? '' : `?${query}`;
  return { key: path.key + tail, upstreamPath: path.upstreamPath + tail };
}

function filenameOf({ segments }: FilePath): string {
  const last = segments.at(-1) ?? '';
  return last.slice(last.lastIndexOf('/') + 1);
}

function coordinatesOf(path: FilePath): PackageCoordinates {
  return { ecosystem: 'generic', name: path.text };
}

function isRead({ method }: RequestHead): boolean {
  return method === 'GET' || method === 'HEAD';
}

function refusal(path: FilePath, rule: Rule): EntrepotError {
  const printed = JSON.stringify(path.text.slice(0, LONGEST_PRINTED));
  return new EntrepotError('forbidden', `the path ${printed} is not served here: ${rule.label}`, {
    code: 'PATH_REFUSED',
  });
}

function notAllowed({ method }: RequestHead, allow: string): EntrepotError {
  return new EntrepotError('method-not-allowed', `expected ${allow}, found ${method.slice(0, 32)}`, {
    headers: { Allow: allow },
  });
}
