import type { ArtifactDescription } from '@entrepot/core';
import { FILE_PREFIX, SIGNATURE_SUFFIX } from './keys.js';

/**
 * What a page says of its files and their sidecars, by key. A signature may be there without being announced (PEP 503):
 * so there is an answer for each file but those of which the page says that they have none, made when it is asked for.
 */
export class PageDescriptions extends Map<string, ArtifactDescription> {
  readonly #unsigned = new Set<string>();

  /** Notes that the file with `key` has no signature. */
  markUnsigned(key: string): void {
    this.#unsigned.add(key);
  }

  override get(key: string): ArtifactDescription | undefined {
    return super.get(key) ?? (key.endsWith(SIGNATURE_SUFFIX) ? this.#signature(key) : undefined);
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
