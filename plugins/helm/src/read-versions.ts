import { EntrepotError, type Entry, type HostedContext } from '@entrepot/core';
import type { ChartMetadata } from './chart-metadata.js';
import { readChart } from './chart-archive.js';
import { chartFileName, relativeUrl } from './chart-url.js';
import type { IndexEntry } from './index-fragment.js';
import { KEY } from './keys.js';

/** Attributes of the entry of a part of a chart's versions. */
export interface VersionsAttributes {
  readonly name: string;
  /** Newest first. */
  readonly versions: readonly string[];
  /** Prefix of the URLs in it. */
  readonly prefix: string;
  /** The same as YAML. */
  readonly yaml: Pick<Entry, 'digest' | 'size'>;
}

type Stored = Pick<HostedContext, 'content' | 'find'>;

/** Reads the attributes of the entry of a part. */
export function versionsOf({ attributes }: Entry): VersionsAttributes {
  return attributes as unknown as VersionsAttributes;
}

/**
 * Reads the versions of a part of the index, newest first. Where that is lost or damaged, they are read from the archives, and
 * the time of an upload is that of the archive.
 */
export async function readVersions(tenant: string, part: Entry, context: Stored): Promise<IndexEntry[]> {
  try {
    const text = Buffer.from(await context.content(part).bytes(Infinity)).toString();
    return JSON.parse(`[${text}]`) as IndexEntry[];
  } catch (error) {
    const isLost = error instanceof EntrepotError && error.kind === 'storage';
    if (!isLost && !(error instanceof SyntaxError)) throw error;
    return await readArchives(tenant, part, context);
  }
}

async function readArchives(tenant: string, part: Entry, { content, find }: Stored): Promise<IndexEntry[]> {
  const { name, versions, prefix } = versionsOf(part);
  const entries: IndexEntry[] = [];
  for (const version of versions) {
    const archive = await find(KEY.chart(tenant, chartFileName(name, version)));
    // A chart without its archive cannot be pulled, so it is not listed.
    const metadata = archive && (await readChart(content(archive).stream()).catch(() => undefined));
    if (archive !== undefined && metadata !== undefined) entries.push(indexEntry(metadata, archive, prefix));
  }
  return entries;
}

/** Makes the index entry of a chart. */
export function indexEntry(
  metadata: ChartMetadata,
  { digest, fetchedAt }: Pick<Entry, 'digest' | 'fetchedAt'>,
  prefix = '',
): IndexEntry {
  const created = new Date(fetchedAt).toISOString();
  return withPrefix({ ...metadata, created, digest: digest.slice('sha256:'.length), urls: [] }, prefix);
}

/** Gives an entry a URL that begins with `prefix`. */
export function withPrefix(entry: IndexEntry, prefix: string): IndexEntry {
  return { ...entry, urls: [prefix + relativeUrl(['charts', chartFileName(entry.name, entry.version)])] };
}
