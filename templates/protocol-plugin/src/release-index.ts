import {
  EntrepotError,
  parseHex,
  type ArtifactDescription,
  type Content,
  type Descriptions,
  type DocumentBytes,
  type DocumentResource,
  type RewriteContext,
} from '@entrepot/core';
import { coordinatesOf, releaseKey } from './routes.js';
import { releaseIndex, type Release, type ReleaseIndex } from './schema.js';

/** Indexes are small; one that is not is not one. A format with large documents reads and writes them as a stream. */
const MAX_INDEX_BYTES = 4 * 1024 * 1024;

/** What an index promises of its releases. Throws for a body that is no index: it is then not stored. */
export async function describeReleases(_document: DocumentResource, content: Content): Promise<Descriptions> {
  const { name, releases } = await readIndex(content);
  const descriptions = new Map<string, ArtifactDescription>();
  for (const release of releases) descriptions.set(releaseKey(name, release.file), describeRelease(name, release));
  return descriptions;
}

/** The index with URLs below `baseUrl`, without the versions that policy refuses. */
export async function rewriteReleases(
  _document: DocumentResource,
  content: Content,
  { baseUrl, descriptions, admits }: RewriteContext,
): Promise<DocumentBytes> {
  const index = await readIndex(content);
  const releases: Release[] = [];
  for (const release of index.releases) {
    const key = releaseKey(index.name, release.file);
    if (!admits(coordinatesOf(index.name, release.version), descriptions.get(key))) continue;
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

async function readIndex(content: Content): Promise<ReleaseIndex> {
  const bytes = await content.bytes(MAX_INDEX_BYTES);
  const parsed = releaseIndex.safeParse(parseJson(Buffer.from(bytes).toString('utf8')));
  if (parsed.success) return parsed.data;
  throw new EntrepotError('upstream-unavailable', 'The upstream sent something that is no release index');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
