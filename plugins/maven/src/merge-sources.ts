import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EntrepotError, type ProduceContext, type ProducedFile, type Resource } from '@entrepot/core';
import { coordinatesOf } from './layout.js';
import { XML_TYPE } from './media-types.js';
import { mergeMetadata, printMetadata, readMetadata, type Metadata } from './metadata.js';
import { attributesOf, type MavenProxy } from './proxy.js';

/** An upstream, with its list: `undefined` where it has none, an error where it is down and nothing is known of it. */
interface Source {
  readonly url: string;
  readonly list: Metadata | undefined | Error;
}

/**
 * Merges the metadata of all upstreams. The list that one of them had before stands in for it while it is down. Of those behind one that is
 * down and was never seen nothing is listed, where an outage does not lead on to the next: their files could not be had either.
 */
export async function mergeSources(
  resource: Resource,
  { folder, kept, read }: ProduceContext,
  self: MavenProxy,
): Promise<readonly ProducedFile[]> {
  const { subject } = attributesOf(resource);
  const { path } = subject;
  const sources = await Promise.all(self.sources(resource).map((source) => listOf(source, path, read)));
  const outage = sources.map(({ list }) => list).find((list) => list instanceof Error);
  const found = self.routing.reachable(sources).flatMap(({ list }) => (list instanceof Error || !list ? [] : [list]));
  if (outage !== undefined) {
    self.logger.warn({ path, error: outage }, 'metadata is served without what one of the upstreams has');
    if (kept !== undefined) found.push(await readMetadata(kept, path));
  }
  noteOwners(subject, sources, self);
  if (found.length === 0) throw outage ?? new EntrepotError('not-found', `no upstream has ${path}`);
  const file = join(folder, 'merged.xml');
  await writeFile(file, printMetadata(mergeMetadata(found)));
  return [{ key: resource.key, path: file, mediaType: XML_TYPE }];
}

async function listOf(source: Resource, path: string, read: ProduceContext['read']): Promise<Source> {
  const [url = ''] = source.among ?? [];
  try {
    return { url, list: await readMetadata(await read(source), path) };
  } catch (error) {
    if (error instanceof EntrepotError && error.kind === 'not-found') return { url, list: undefined };
    return { url, list: error instanceof Error ? error : new Error(String(error)) };
  }
}

function noteOwners(
  { group, artifact, version }: ReturnType<typeof attributesOf>['subject'],
  sources: readonly Source[],
  { owners }: MavenProxy,
): void {
  const name = coordinatesOf({ group, artifact })?.name;
  // The builds of one snapshot are no versions.
  if (name === undefined || version !== undefined) return;
  const known = sources.filter((source): source is Source & { list: Metadata | undefined } => {
    return !(source.list instanceof Error);
  });
  owners.note(name, new Map(known.map(({ url, list }) => [url, new Set(list?.versions)])));
}
