import type { ArtifactDescription } from '@entrepot/core';
import { FILE_PREFIX, SIGNATURE_SUFFIX } from './keys.js';

/**
 * What a page says of its files and their sidecars, by key. A signature may be there without being announced (PEP 503):
 * so there is an answer for each file but those of which the page says that they have none, made when it is asked for.
 */
export class PageDescriptions extends Map<string, ArtifactDescription> {
  readonly #unsigned = new Set<string>();
  readonly #provenances = new Map<string, ArtifactDescription>();

  /** Notes that the file with `key` has no signature. */
  markUnsigned(key: string): void {
    this.#unsigned.add(key);
  }

  /** Notes what is known of the provenance of a file. Kept apart: it is no artifact of the page. */
  setProvenance(key: string, description: ArtifactDescription): void {
    this.#provenances.set(key, description);
  }

  override get(key: string): ArtifactDescription | undefined {
    return (
      super.get(key) ??
      this.#provenances.get(key) ??
      (key.endsWith(SIGNATURE_SUFFIX) ? this.#signature(key) : undefined)
    );
  }

  /**
   * Adds what only the whole page tells: the status of the project (PEP 792), and whether a version was published in a
   * lesser way than the one before it.
   */
  settle(status: string | undefined): void {
    const downgraded = downgradedVersions([...this.values()]);
    for (const descriptions of [this, this.#provenances])
      for (const [key, description] of descriptions) {
        const version = description.coordinates?.version ?? '';
        // A version without a date has none before it.
        const provenanceDowngraded = downgraded.get(version);
        const { location: _location, ...withheld } = description;
        descriptions.set(key, {
          ...(status === 'quarantined' ? { ...withheld, upstream: 'quarantined' as const } : description),
          ...(provenanceDowngraded !== undefined && { provenanceDowngraded }),
          ...((status === 'archived' || status === 'deprecated') && { deprecated: true }),
        });
      }
  }

  #signature(key: string): ArtifactDescription | undefined {
    const fileKey = key.slice(0, -SIGNATURE_SUFFIX.length);
    const file = super.get(fileKey);
    if (file?.location === undefined || !fileKey.startsWith(FILE_PREFIX) || this.#unsigned.has(fileKey))
      return undefined;
    return { ...file, integrity: [], location: withSuffix(file.location, SIGNATURE_SUFFIX) };
  }
}

/** PEP 658: the suffix goes behind the path; a signed URL keeps its query. */
export function withSuffix(url: string, suffix: string): string {
  const query = url.indexOf('?');
  return query < 0 ? url + suffix : url.slice(0, query) + suffix + url.slice(query);
}

/** For each version with a date and one before it: whether that had provenance and this has none. */
function downgradedVersions(files: readonly ArtifactDescription[]): ReadonlyMap<string, boolean> {
  const versions = new Map<string, { publishedAt: number; attested: boolean }>();
  for (const { coordinates, publishedAt, provenance } of files) {
    if (coordinates?.version === undefined || publishedAt === undefined) continue;
    const known = versions.get(coordinates.version);
    versions.set(coordinates.version, {
      publishedAt: Math.min(publishedAt, known?.publishedAt ?? Infinity),
      attested: provenance === 'attested' || known?.attested === true,
    });
  }
  const dated = [...versions].sort(([, one], [, other]) => one.publishedAt - other.publishedAt);
  return new Map(
    dated.slice(1).map(([version, { attested }], at) => [version, !attested && dated[at]?.[1].attested === true]),
  );
}
