import {
  EntrepotError,
  parseHex,
  type ArtifactDescription,
  type Content,
  type DocumentBytes,
  type Parsed,
  type RenderRequest,
} from '@entrepot/core';
import { parseJson } from '@entrepot/core/formats';
import { coordinatesOf, releaseKey } from './routes.js';
import { releaseIndex, type Release, type ReleaseIndex } from './schema.js';

/** Indexes are small; one that is not is not one. A format with large documents reads and writes them as a stream. */
const MAX_INDEX_BYTES = 4 * 1024 * 1024;

/** An index that was read once: for the promises in it, and for every representation. */
export interface ParsedIndex extends Parsed {
  readonly index: ReleaseIndex;
}

/**
 * Reads an index.
 * @throws EntrepotError `upstream-unavailable` for a body that is no index: it is not stored
 */
export async function parseReleaseIndex(content: Content): Promise<ParsedIndex> {
  const bytes = await content.bytes(MAX_INDEX_BYTES);
  const parsed = releaseIndex.safeParse(parseJson(Buffer.from(bytes).toString('utf8')));
  if (!parsed.success)
    throw new EntrepotError('upstream-unavailable', 'The upstream sent something that is no release index');
  const index = parsed.data;
  const descriptions = new Map(
    index.releases.map((release) => [releaseKey(index.name, release.file), describeRelease(index.name, release)]),
  );
  return {
    index,
    weight: 2 * bytes.length,
    describe: (key) => descriptions.get(key),
    descriptions: () => descriptions,
  };
}

/** Writes the index with URLs below `baseUrl`, without the versions that policy refuses. */
export function renderReleaseIndex(parsed: ParsedIndex, { baseUrl, admits }: RenderRequest): DocumentBytes {
  const { index } = parsed;
  const releases: Release[] = [];
  for (const release of index.releases) {
    const key = releaseKey(index.name, release.file);
    if (!admits(coordinatesOf(index.name, release.version), parsed.describe?.(key))) continue;
    releases.push({ ...release, url: `${baseUrl}/${key}` });
  }
  const listed = releases.some(({ version }) => version === index.latest);
  return [JSON.stringify({ ...index, latest: listed ? index.latest : releases.at(-1)?.version, releases })];
}

function describeRelease(project: string, { version, url, sha256, published }: Release): ArtifactDescription {
  const promise = parseHex('sha256', sha256);
  return {
    integrity: promise === undefined ? [] : [promise],
    location: url,
    coordinates: coordinatesOf(project, version),
    publishedAt: published === undefined ? undefined : Date.parse(published),
  };
}
