import { createHash } from 'node:crypto';
import { EntrepotError, type Content, type RequestHead, type RewriteContext } from '@entrepot/core';
import { describe } from '../src/describe.js';
import type { DocumentResource } from '@entrepot/core';

export const JSON_TYPE = 'application/vnd.pypi.simple.v1+json';
export const HTML_TYPE = 'application/vnd.pypi.simple.v1+html';

/** `text` as stored bytes that arrive in pieces of `pieceSize`. */
export function contentOf(text: string | Buffer, mediaType = JSON_TYPE, pieceSize = Infinity): Content {
  const bytes = Buffer.from(text);
  return {
    size: bytes.length,
    mediaType,
    async *stream() {
      for (let at = 0; at < bytes.length; at += pieceSize)
        yield bytes.subarray(at, Math.min(bytes.length, at + pieceSize));
    },
    async bytes(limit) {
      if (bytes.length > limit) throw new EntrepotError('too-large', 'too large');
      return bytes;
    },
  };
}

/** A request for `path`, split and decoded once as core does it. */
export function request(
  path: string,
  { method = 'GET', accept }: { method?: string; accept?: string } = {},
): RequestHead {
  const [pathname = '', query = ''] = path.split('?');
  const segments = pathname.split('/').slice(1);
  const trailingSlash = segments.at(-1) === '';
  return {
    method,
    segments: (trailingSlash ? segments.slice(0, -1) : segments).map(decodeURIComponent),
    trailingSlash,
    query: new URLSearchParams(query),
    rawQuery: query,
    header: (name) => (name === 'accept' ? accept : undefined),
  };
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** The segment of a file URL for a file with these bytes. */
export function tag(text: string): string {
  return sha256(text).slice(0, 16);
}

/** The document that a project page is, without what does not matter here. */
export function pageOf(project: string): DocumentResource {
  return {
    kind: 'document',
    key: `simple/${project}`,
    class: 'simple',
    coordinates: { ecosystem: 'pypi', name: project },
    upstreamPath: `simple/${project}/`,
  };
}

/** A context for `rewrite` over what `describe` says of `content`. */
export async function contextFor(
  document: DocumentResource,
  content: Content,
  admits: RewriteContext['admits'] = () => true,
  baseUrl = 'http://127.0.0.1:8080/pypi',
): Promise<RewriteContext> {
  return {
    baseUrl,
    descriptions: await describe(document, content),
    headers: {},
    keptKeys: [],
    refusal: () => undefined,
    admits,
  };
}

/** The text that pieces make. */
export async function textOf(pieces: AsyncIterable<string>): Promise<string> {
  let text = '';
  for await (const piece of pieces) text += piece;
  return text;
}
