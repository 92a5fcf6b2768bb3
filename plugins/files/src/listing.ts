import { EntrepotError, escapeHtml, HTML_END, htmlStart } from '@entrepot/core';
import type { Entry } from '@entrepot/core';
import { nameOfKeySegment } from './path.js';

/** One line of a listing. */
interface Line {
  readonly name: string;
  readonly type: 'directory' | 'file';
  readonly entry?: Entry;
}

export type ListingFormat = 'html' | 'json';

/**
 * The listing of the directory of `repository` with the key prefix `prefix` (empty for the root): its files, and each of its
 * sub-directories once. The JSON form is that of nginx's `autoindex_format json`, with the sum of each file besides.
 * @throws EntrepotError `not-found` when there is nothing below the prefix. The root is always there.
 */
export async function renderListing(
  repository: string,
  prefix: string,
  entries: AsyncIterable<Entry>,
  format: ListingFormat,
): Promise<AsyncIterable<string>> {
  const lines = childrenOf(prefix, entries);
  const first = await lines.next();
  if (first.done === true && prefix !== '') throw new EntrepotError('not-found', `there is no directory ${prefix}`);
  const all = first.done === true ? lines : startingWith(first.value, lines);
  return format === 'json' ? jsonListing(all) : htmlListing(repository, prefix, all);
}

async function* childrenOf(prefix: string, entries: AsyncIterable<Entry>): AsyncGenerator<Line, void, undefined> {
  let directory: string | undefined;
  for await (const entry of entries) {
    const rest = entry.key.slice(prefix.length);
    const slash = rest.indexOf('/');
    if (slash === -1) {
      yield { name: nameOfKeySegment(rest), type: 'file', entry };
      continue;
    }
    // Keys come in order: those of one directory stand together.
    const name = rest.slice(0, slash);
    if (name === directory) continue;
    directory = name;
    yield { name: nameOfKeySegment(name), type: 'directory' };
  }
}

async function* startingWith(first: Line, rest: AsyncIterable<Line>): AsyncGenerator<Line, void, undefined> {
  yield first;
  yield* rest;
}

async function* jsonListing(lines: AsyncIterable<Line>): AsyncGenerator<string, void, undefined> {
  let separator = '[\n';
  for await (const { name, type, entry } of lines) {
    const mtime = entry && modifiedAt(entry);
    yield `${separator}${JSON.stringify(
      entry === undefined ? { name, type } : { name, type, mtime, size: entry.size, digest: entry.digest },
    )}`;
    separator = ',\n';
  }
  yield separator === '[\n' ? '[]\n' : '\n]\n';
}

async function* htmlListing(
  repository: string,
  prefix: string,
  lines: AsyncIterable<Line>,
): AsyncGenerator<string, void, undefined> {
  yield htmlStart(`${repository}: /${prefix.split('/').map(nameOfKeySegment).join('/')}`);
  yield '<table>\n<tr><th>Name</th><th>Modified</th><th>Size</th></tr>\n';
  if (prefix !== '') yield '<tr><td><a href="../">../</a></td><td></td><td></td></tr>\n';
  for await (const { name, type, entry } of lines) {
    const tail = type === 'directory' ? '/' : '';
    // `./`: a name such as `a:b` must not be read as a URL of its own.
    const link = `./${encodeURIComponent(name)}${tail}`;
    const cells = entry === undefined ? ['', ''] : [modifiedAt(entry), String(entry.size)];
    yield (
      `<tr><td><a href="${escapeHtml(link)}">${escapeHtml(name + tail)}</a></td>` +
      `${cells.map((cell) => `<td>${escapeHtml(cell)}</td>`).join('')}</tr>\n`
    );
  }
  yield `</table>\n${HTML_END}`;
}

function modifiedAt({ lastModified, fetchedAt }: Entry): string {
  return lastModified ?? new Date(fetchedAt).toUTCString();
}

/** Which form of a listing a client wants: JSON where it asks for that and not for HTML. */
export function listingFormat(accept: string | undefined): ListingFormat {
  const wanted = (accept ?? '').toLowerCase();
  return wanted.includes('application/json') && !wanted.includes('text/html') ? 'json' : 'html';
}
