import type { BoundResource } from '../engine/request/resource.js';
import type { ProtocolSubject } from './protocol-subject.js';
import { routeRequest } from './route-table.js';
import type { TestReply, TestRepository, TestRequest } from './test-repository.js';

/** A link of a document, and the resource or the error that it routes to. */
export interface FollowedLink {
  readonly link: string;
  readonly resource: BoundResource | string;
}

/** Finds the links in the reply to a document, and routes them. */
export function linksOf(
  { baseUrl, protocol }: TestRepository,
  { links, plugin }: ProtocolSubject,
  request: TestRequest,
  { body, headers, status }: TestReply,
): FollowedLink[] {
  if (status !== 200 || links === 'none') return [];
  const text = body.toString();
  const found = links?.(text, headers['content-type'] ?? '') ?? absoluteLinks(text, baseUrl);
  return found.map((link) => {
    const url = new URL(link, baseUrl + request.path);
    const below = url.href.startsWith(`${baseUrl}/`);
    if (!below) return { link, resource: 'outside of the repository' };
    const path = url.href.slice(baseUrl.length).split('#', 1)[0] as string;
    return { link, resource: routeRequest(protocol, { path }, plugin.http) };
  });
}

function absoluteLinks(text: string, baseUrl: string): string[] {
  const plain = text.replaceAll('\\/', '/').replaceAll('&amp;', '&');
  const links: string[] = [];
  for (let at = plain.indexOf(`${baseUrl}/`); at >= 0; at = plain.indexOf(`${baseUrl}/`, at + 1)) {
    links.push(/^[^\s"'<>\\)\]}|]*/.exec(plain.slice(at))?.[0] as string);
  }
  return links;
}
