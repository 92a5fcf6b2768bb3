import type { PackageCoordinates } from '../../api/coordinates.js';
import type { JudgingParts } from '../policy/judge.js';
import type { Encoding, SharedRendition } from '../store/renditions.js';
import { SharedRenditions } from '../store/shared-renditions.js';

/** A document that may be shared. */
export interface SharedDocument {
  readonly coordinates: PackageCoordinates | undefined;
  readonly baseUrl: string;
  readonly encoding: Encoding;
  /** Its sources besides policy and findings, by words that are the same in all processes. */
  readonly source: readonly unknown[];
  /** As `Renditions` takes it. */
  readonly stamp?: string | undefined;
}

/** Finds the place of a document that processes share. `undefined`: it is not shared. */
export type DocumentSharing = (document: SharedDocument) => Promise<SharedRendition | undefined>;

/** Makes the sharing of documents of one repository. */
export function createDocumentSharing({ contents, definition, services }: JudgingParts): DocumentSharing {
  const { clock, hotCache, policy } = services;
  if (hotCache.shared === undefined) return async () => undefined;
  const renditions = new SharedRenditions(hotCache.shared, clock);
  return async ({ coordinates, baseUrl, encoding, source, stamp }) => {
    const revision = policy.revision();
    const found = await contents.name(coordinates);
    if (found === undefined) return undefined;
    const name = [definition.name, definition.sameAs, revision, found, baseUrl, source];
    return renditions.at({ name, encoding, isCurrent: () => policy.revision() === revision }, stamp);
  };
}
