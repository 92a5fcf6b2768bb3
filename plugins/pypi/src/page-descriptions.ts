import {
  VersionHistory,
  type ArtifactDescription,
  type DatedVersion,
  type Descriptions,
  type VersionBefore,
} from '@entrepot/core';
import { FILE_PREFIX, SIGNATURE_SUFFIX } from './keys.js';

/** So many more places of one file are tried. */
const MOST_MIRRORS = 3;

/**
 * What a page says of its files and their sidecars, by key. A signature may be there without being announced (PEP 503):
 * so there is an answer for each file but those of which the page says that they have none, made when it is asked for.
 */
export class PageDescriptions extends Map<string, ArtifactDescription> implements Descriptions {
  unlisted: Descriptions['unlisted'];
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

  /** Notes another place of what is described. */
  addMirror(key: string, url: string): void {
    const known = super.get(key);
    const { location, mirrors = [] } = known ?? {};
    if (location === undefined || location === url || mirrors.includes(url) || mirrors.length >= MOST_MIRRORS) return;
    this.set(key, { ...known, integrity: known?.integrity ?? [], mirrors: [...mirrors, url] });
  }

  override get(key: string): ArtifactDescription | undefined {
    return (
      super.get(key) ??
      this.#provenances.get(key) ??
      (key.endsWith(SIGNATURE_SUFFIX) ? this.#signature(key) : undefined)
    );
  }

  /**
   * Adds what only the whole page tells: the status of the project (PEP 792), and what was there before a version.
   */
  settle(status: string | undefined): void {
    // Such a page lists no file (PEP 792, "Quarantined").
    if (status === 'quarantined') this.unlisted = { upstream: 'quarantined' };
    const history = historyOf([...this.values()]);
    for (const descriptions of [this, this.#provenances])
      for (const [key, description] of descriptions) {
        // A version without a date has none before it.
        const { version, before } = history.get(description.coordinates?.version ?? '') ?? {};
        // A version is attested when one of its files is: of the others, nothing is to be said.
        const isAsItsVersion = description.provenance === version?.provenance;
        const { location: _location, mirrors: _mirrors, ...withheld } = description;
        descriptions.set(key, {
          ...(status === 'quarantined' ? { ...withheld, upstream: 'quarantined' as const } : description),
          ...(isAsItsVersion && before !== undefined && { before }),
          ...((status === 'archived' || status === 'deprecated') && { deprecated: true }),
        });
      }
  }

  #signature(key: string): ArtifactDescription | undefined {
    const fileKey = key.slice(0, -SIGNATURE_SUFFIX.length);
    const file = super.get(fileKey);
    if (file?.location === undefined || !fileKey.startsWith(FILE_PREFIX) || this.#unsigned.has(fileKey))
      return undefined;
    const location = withSuffix(file.location, SIGNATURE_SUFFIX);
    return { ...file, integrity: [], location, mirrors: undefined };
  }
}

/** PEP 658: the suffix goes behind the path; a signed URL keeps its query. */
export function withSuffix(url: string, suffix: string): string {
  const query = url.indexOf('?');
  return query < 0 ? url + suffix : url.slice(0, query) + suffix + url.slice(query);
}

/** For each version with a date and one before it: what was there before. */
function historyOf(
  files: readonly ArtifactDescription[],
): ReadonlyMap<string, { readonly version: DatedVersion; readonly before: readonly VersionBefore[] }> {
  const versions = new Map<string, DatedVersion>();
  for (const { coordinates, publishedAt, provenance } of files) {
    if (coordinates?.version === undefined || publishedAt === undefined) continue;
    const { version } = coordinates;
    const known = versions.get(version);
    versions.set(version, {
      version,
      branch: branchOf(version),
      publishedAt: Math.min(publishedAt, known?.publishedAt ?? Infinity),
      provenance: provenance === 'attested' || known?.provenance === 'attested' ? 'attested' : 'none',
    });
  }
  const history = new VersionHistory(versions.values());
  const told = [...versions].map(([name, version]) => [name, { version, before: history.before(version) }] as const);
  return new Map(told.filter(([, { before }]) => before.length > 0));
}

/** Finds the prefix that compatible releases share: `2`, `0.3`. */
function branchOf(version: string): string {
  return /^(?:\d{1,16}!)?(0\.\d{1,16}|\d{1,16})(?!\d)/.exec(version)?.[1] ?? '';
}
