import type { Integrity } from '../../api/integrity.js';
import type { ArtifactDescription } from '../../api/protocol.js';
import type { ArtifactResource, DocumentResource } from '../request/resource.js';
import { findOciLayer, isOciLocation } from '../upstream/oci-location.js';
import { placeOf, type QueryPlace } from '../upstream/query.js';
import type { Upstreams } from '../upstream/upstreams.js';

/** A document's description of an artifact, with the document that it is from. */
export interface LocatedDescription extends ArtifactDescription {
  /** The URL of the document, where it says a `location`. */
  readonly namedBy?: string | undefined;
  /** As entries note where their facts are from. */
  readonly factsFrom?: string | undefined;
}

/** The place of bytes, and their promised checksums. */
export interface DescribedPlace {
  readonly place: QueryPlace;
  readonly integrity: readonly Integrity[];
  /** Bytes, where that is known. */
  readonly size?: number | undefined;
}

/** `description` as it stands in the document at `url`: a relative location is below that. */
export function located(
  description: ArtifactDescription | undefined,
  url: string | undefined,
): LocatedDescription | undefined {
  if (description?.location === undefined || !URL.canParse(description.location, url)) return description;
  const absolute = (place: string): string[] => (URL.canParse(place, url) ? [new URL(place, url).href] : []);
  const mirrors = description.mirrors?.flatMap(absolute);
  return { ...description, location: new URL(description.location, url).href, mirrors, namedBy: url };
}

/** Finds the place of the bytes of `resource`, by its document or by itself. */
export async function describedPlace(
  upstreams: Upstreams,
  resource: ArtifactResource | DocumentResource,
  description: LocatedDescription | undefined,
  signal: AbortSignal,
): Promise<DescribedPlace> {
  if (resource.kind === 'artifact' && description !== undefined && isOciLocation(description.location))
    return await findOciLayer(upstreams, resource, description, signal);
  const { location, mirrors, namedBy, integrity = [] } = description ?? {};
  return { place: { ...placeOf(resource), location, mirrors, namedBy }, integrity };
}
