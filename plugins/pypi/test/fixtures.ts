import { createHash } from 'node:crypto';
import {
  EntrepotError,
  type Content,
  type DocumentBytes,
  type RequestHead,
  type DocumentClass,
  type Parsed,
  type RenderRequest,
  type Resource,
} from '@entrepot/core';
import { simple } from '../src/classes.js';
import { pypiOptions } from '../src/options.js';
import type { ProjectPage } from '../src/project-page.js';
import { PypiProxy } from '../src/routes.js';

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

/** A proxy of one index. */
export const pypi = new PypiProxy(
  { name: 'pypi', kind: 'proxy', upstreams: [{ url: 'https://index.example.com' }] },
  pypiOptions.parse({}),
);

/** Parses `content` by the class `declared`. */
export async function parse<Document extends Parsed>(
  declared: DocumentClass<PypiProxy, Document>,
  resource: Resource,
  content: Content,
): Promise<Document> {
  const read = async (): Promise<never> => Promise.reject(new Error('nothing else is read'));
  return (await declared.parse?.(content, resource, { needs: new Set(), headers: {}, read }, pypi)) as Document;
}

/** Parses `content` as the page of `project`. */
export function parsePage(content: Content, project = 'demo'): Promise<ProjectPage> {
  return parse(simple, pypi.page(project), content);
}

/** A request for `resource`, whose stored bytes are `content`. */
export function requestFor(
  resource: Resource,
  content: Content,
  admits: RenderRequest['admits'] = () => true,
  baseUrl = 'http://127.0.0.1:8080/pypi',
): RenderRequest {
  const rest = { isAbsent: false, headers: {}, cachedKeys: [], refusal: () => undefined };
  return { resource, content, admits, baseUrl, ...rest };
}

/** The text that pieces make. */
export async function textOf(pieces: DocumentBytes): Promise<string> {
  let text = '';
  for await (const piece of pieces) text += String(piece);
  return text;
}
