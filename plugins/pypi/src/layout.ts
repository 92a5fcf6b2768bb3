import { EntrepotError, type RepositoryFacts } from '@entrepot/core';
import { encodeSegment } from './segment.js';

/** Paths below the upstreams of one scope. */
export interface Layout {
  /** The path of project pages, with a slash at its end unless it is empty. */
  readonly simple: string;
  /** Whether the URL is that of the whole index, so that the legacy JSON and provenance are below it as well. */
  readonly isRoot: boolean;
}

/** An index URL, as pip is given it. */
const SIMPLE_URL = /\/\+?simple\/*$/;

/** Whether `url` is what pip takes for `index-url`, and not the root of an index. */
export function isSimpleUrl(url: string): boolean {
  return SIMPLE_URL.test(url);
}

/**
 * The layout for each scope. The same path is asked of all upstreams of a scope, so their URLs must be of one kind.
 * @throws EntrepotError `configuration` when they are not
 */
export function createLayouts(
  { name, upstreams }: RepositoryFacts,
  simplePath: string | undefined,
): (scope: string | undefined) => Layout {
  const layouts = new Map<string | undefined, Layout>();
  for (const [scope, members] of Map.groupBy(upstreams, (upstream) => upstream.scope)) {
    const whole = members.filter(({ url }) => !isSimpleUrl(url));
    if (simplePath === undefined && whole.length > 0 && whole.length < members.length) {
      throw new EntrepotError(
        'configuration',
        `repositories.${name}.upstreams: expected URLs that all end in /simple, or none of them`,
      );
    }
    const path = simplePath ?? (whole.length > 0 ? 'simple' : '');
    const simple = path === '' ? '' : `${path.split('/').map(encodeSegment).join('/')}/`;
    layouts.set(scope, { simple, isRoot: path !== '' });
  }
  return (scope) => layouts.get(scope) ?? { simple: 'simple/', isRoot: true };
}
