import { PageFormatError } from './errors.js';

/** The newest version of the Simple API that is spoken here. */
export const NEWEST_MINOR = 4;

/** What a page says besides its files. */
export interface PageHead {
  /** Minor of the API version 1.x that the upstream speaks. */
  readonly minor: number;
  /** Whether the page is HTML: such a page has no sizes, times and versions. */
  readonly isHtml: boolean;
  /** PEP 792. */
  readonly status: { readonly status: string; readonly reason: string | undefined } | undefined;
  /** As the upstream spells them (PEP 700). */
  readonly versions: readonly string[] | undefined;
}

/** More files than any project has; a bound for the memory that one page can take. */
export const FILE_LIMIT = 200_000;

/** The minor of an API version. @throws PageFormatError for a major that is not 1: its meaning is unknown (PEP 629) */
export function minorOf(version: unknown): number {
  const found = typeof version === 'string' ? /^(\d+)\.(\d+)$/.exec(version.trim()) : null;
  if (found === null) return 0;
  if (found[1] !== '1') throw new PageFormatError(`it has API version ${found[1]}.x; expected 1.x`);
  return Number(found[2]);
}
