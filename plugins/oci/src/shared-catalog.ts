import type { LocalReply, RequestHead, SharedAnswer, SharedReply, SharedRepository } from '@entrepot/core';
import { nextTarget, pageOf, passedQuery } from './paging.js';

const DEFAULT_PAGE = 100;
/** Most names on one page, whatever `n` says. */
const MAX_PAGE = 1_000;
/** In a link of ours: where the list goes on. */
const GOES_ON = 'repository';

/**
 * The names of all repositories at a mount, behind those of their repositories, page by page: first those of one repository, then
 * those of the next. A link says where it goes on, and holds what the repository's own link says.
 */
export function sharedCatalog(head: RequestHead, repositories: readonly SharedRepository[]): SharedAnswer {
  const { n: asked = DEFAULT_PAGE, last = '' } = pageOf(head.query);
  if (asked === 0) return { reply: listOf('[]'), guarded: true };
  const n = Math.min(asked, MAX_PAGE);
  const names = repositories
    .filter(({ type }) => type === 'oci')
    .map(({ name }) => name)
    .toSorted();
  const [from = '', ...below] = last.split('/');
  const goesOn = head.query.get(GOES_ON);
  const start = goesOn ?? from;
  const query = (name: string): string => {
    if (name !== start) return `n=${n}`;
    if (goesOn !== null) {
      const parts = passedQuery(head).slice(1).split('&');
      return parts.filter((part) => !part.startsWith(`${GOES_ON}=`)).join('&');
    }
    return below.length === 0 ? `n=${n}` : `n=${n}&last=${encodeURIComponent(below.join('/'))}`;
  };
  const left = names.filter((name) => name >= start);
  return {
    guarded: true,
    questions: left.map((name) => ({ repository: name, path: '/_catalog', query: query(name) })),
    answer: (reply) => (reply === undefined ? listOf('[]') : pageOfReply(reply, left, n)),
  };
}

function pageOfReply(
  { question, headers, body }: SharedReply,
  names: readonly string[],
  n: number,
): LocalReply | undefined {
  const { repositories } = JSON.parse(Buffer.from(body).toString()) as { repositories: readonly string[] };
  const link = nextTarget(headers['Link'] ?? '')?.split('?', 2)[1];
  const next = names[names.indexOf(question.repository) + 1];
  if (repositories.length === 0 && link === undefined) return undefined;
  const list = JSON.stringify(repositories);
  if (link !== undefined) return listOf(list, `${GOES_ON}=${question.repository}&${link}`);
  return listOf(list, next === undefined ? undefined : `${GOES_ON}=${next}&n=${n}`);
}

function listOf(names: string, next?: string): LocalReply {
  const headers = {
    'Content-Type': 'application/json',
    ...(next !== undefined && { Link: `</v2/_catalog?${next}>; rel="next"` }),
  };
  return { status: 200, headers, body: `{"repositories":${names}}` };
}
