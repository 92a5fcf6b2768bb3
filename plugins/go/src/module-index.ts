import { aliasClass, EntrepotError } from '@entrepot/core';
import type { KeptListing, Resource } from '@entrepot/core';
import type { SourceOf } from './sources.js';

/** The most versions of one answer, and how many there are where the client names no number. */
const MOST = 2000;
/** RFC 3339 §5.6, as Go reads it: a time with a zone, and any fraction of a second. */
const TIME = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/;

/** Names the index of modules as a client asks for it. @throws EntrepotError `bad-request` for parameters that it does not have */
export function indexOf(query: URLSearchParams): Resource {
  const include = query.get('include') ?? '';
  if (include !== '' && include !== 'all') throw refused('include', include, 'all');
  const since = query.get('since') || '1970-01-01T00:00:00Z';
  const limit = query.get('limit') || String(MOST);
  if (!/^\d{1,4}$/.test(limit) || Number(limit) < 1 || Number(limit) > MOST)
    throw refused('limit', limit, `a number from 1 to ${MOST}`);
  const after = query.get('after') ?? undefined;
  const listing = { since: parseTime(since), after, limit: Number(limit), suffix: '.zip' } satisfies KeptListing;
  return { class: 'index', key: 'index', attributes: { listing } };
}

/**
 * The module index, as there is a public one: a line of JSON for each module version whose zip is kept, by the time at which it was stored.
 * Nobody is told a name that they may not read: it needs the right to read the repository as a whole.
 */
export const moduleIndex = aliasClass<{ readonly sourceOf: SourceOf }>({
  about: 'The versions that are kept, by the time at which they were stored.',
  async resolve({ attributes }, context, { sourceOf }) {
    const listing = attributes?.['listing'] as KeptListing;
    const { versions, next } = await context.kept(listing);
    // What has become private without a source of its own is kept, and not found here any more.
    const found = versions.filter(({ coordinates }) => sourceOf(coordinates.name) !== undefined);
    const lines = found.map(({ coordinates: { name: Path, version: Version }, storedAt }) => {
      return `${JSON.stringify({ Path, Version, Timestamp: new Date(storedAt).toISOString() })}\n`;
    });
    const headers = {
      'Content-Type': 'application/json',
      // Names of private modules may be in it.
      'Cache-Control': 'private, no-cache',
      ...(next && { Link: `<?${queryOf({ ...listing, ...next })}>; rel="next"` }),
    };
    return { status: 200, headers, body: lines.join('') };
  },
  // Nothing is stored for it.
  storedKeys: async () => [],
});

/** Asks for the next page. Times alone do not tell where it begins: several versions may have the same. */
function queryOf({ since, after, limit }: KeptListing): string {
  const time = new Date(since).toISOString();
  return new URLSearchParams({ since: time, ...(after !== undefined && { after }), limit: String(limit) }).toString();
}

/** Reads a time, rounded up to milliseconds: what was stored before it is left out. */
function parseTime(text: string): number {
  const [, seconds = '', fraction = '', zone = ''] = TIME.exec(text) ?? [];
  const whole = Date.parse(`${seconds}${zone}`);
  if (Number.isNaN(whole)) throw refused('since', text, 'a time by RFC 3339, such as 2026-01-31T08:00:00Z');
  return whole + Math.ceil(Number(fraction.padEnd(9, '0')) / 1_000_000);
}

function refused(name: string, found: string, expected: string): EntrepotError {
  return new EntrepotError(
    'bad-request',
    `${name}: expected ${expected}, found ${JSON.stringify(found.slice(0, 100))}`,
  );
}
