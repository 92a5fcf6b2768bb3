import {
  EntrepotError,
  type ArtifactDescription,
  type Descriptions,
  type DocumentResource,
  type PackageCoordinates,
  type VerifyContext,
} from '@entrepot/core';
import { WorkTurns } from '@entrepot/core/formats';
import { readInfo, type Info } from './documents.js';
import { isPseudoVersion, pseudoVersionTime } from './version.js';

/** How many versions of a list are asked for their date, newest first. One that is so much older than another ends it. */
const NEWEST = 8;
const SETTLED = 30 * 86_400_000;

/**
 * Describes the versions of a list to policy. A list has no dates, so the newest tags are asked for theirs. Older tags are
 * taken to be as old as the oldest of those; their zips are judged by their own dates. A pseudo-version has the time of its
 * commit in its name.
 * @param versions in order
 * @param dateOf what says when a version was published
 */
export async function describeVersions(
  path: string,
  versions: readonly string[],
  { needs, read }: VerifyContext,
  dateOf: (path: string, version: string) => DocumentResource | undefined,
): Promise<Descriptions> {
  const descriptions = new Map<string, ArtifactDescription>();
  const turns = new WorkTurns();
  for (const version of versions) {
    describe(descriptions, path, version, pseudoVersionTime(version));
    if (turns.over) await turns.next();
  }
  if (!needs.has('publishedAt')) return descriptions;
  let oldest = Infinity;
  let newest = -Infinity;
  for (const version of newestTags(versions)) {
    const document = dateOf(path, version);
    const info = document && (await infoOf(document, read));
    if (info?.publishedAt === undefined) continue;
    describe(descriptions, path, version, info.publishedAt);
    oldest = Math.min(oldest, info.publishedAt);
    newest = Math.max(newest, info.publishedAt);
    if (newest - oldest > SETTLED) break;
  }
  if (oldest === Infinity) return descriptions;
  for (const version of versions) {
    if (descriptionIn(descriptions, path, version)?.publishedAt === undefined)
      describe(descriptions, path, version, oldest);
    if (turns.over) await turns.next();
  }
  return descriptions;
}

/** The newest tags of versions in order, newest first. */
function newestTags(versions: readonly string[]): string[] {
  const tags: string[] = [];
  for (let at = versions.length - 1; at >= 0 && tags.length < NEWEST; at -= 1) {
    const version = versions[at] as string;
    if (!isPseudoVersion(version)) tags.push(version);
  }
  return tags;
}

/** What is gone or out of reach has no date. */
async function infoOf(document: DocumentResource, read: VerifyContext['read']): Promise<Info | undefined> {
  try {
    return await readInfo(document.key, await read(document));
  } catch (error) {
    if (error instanceof EntrepotError) return undefined;
    throw error;
  }
}

/** What the `.info` of a version says of its zip: nothing, where it is of another one. */
export function describeDated(path: string, version: string, info: Info): Descriptions {
  const descriptions = new Map<string, ArtifactDescription>();
  if (info.version === version) describe(descriptions, path, version, info.publishedAt);
  return descriptions;
}

/** A version as its own document names it. */
export function versionOf(
  path: string,
  { version, publishedAt }: Info,
): { readonly coordinates: PackageCoordinates; readonly description: ArtifactDescription } {
  const coordinates = { ecosystem: 'golang', name: path, version };
  return { coordinates, description: { integrity: [], coordinates, publishedAt } };
}

/** What is known of a version by its list. */
export function descriptionIn(
  descriptions: Descriptions,
  path: string,
  version: string,
): ArtifactDescription | undefined {
  return descriptions.get(zipKey(path, version));
}

function describe(
  descriptions: Map<string, ArtifactDescription>,
  path: string,
  version: string,
  publishedAt: number | undefined,
): void {
  descriptions.set(zipKey(path, version), versionOf(path, { version, publishedAt }).description);
}

function zipKey(path: string, version: string): string {
  return `${path}/@v/${version}.zip`;
}
