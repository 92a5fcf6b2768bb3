import { agreed, type Integrity } from '../../api/integrity.js';
import type { ArtifactDescription } from '../../api/protocol.js';
import type { ArtifactResource, DocumentResource } from '../request/resource.js';
import { placeOf, type QueryPlace } from '../upstream/query.js';
import { readBody } from '../upstream/upstream-reply.js';
import type { ResourceReader } from './resource-reader.js';
import type { FlightContext } from './shared-flight.js';

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

/** Services that find places. */
export type LocateServices = Pick<FlightContext, 'definition' | 'services' | 'upstreams'> & {
  readonly reader: ResourceReader;
};

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

/** Finds the place of the bytes of `resource`, by its class, its document or itself. */
export async function describedPlace(
  { definition, reader, services, upstreams }: LocateServices,
  resource: ArtifactResource | DocumentResource,
  description: LocatedDescription | undefined,
  signal: AbortSignal,
): Promise<DescribedPlace> {
  const { location, mirrors, integrity = [] } = description ?? {};
  let namedBy = description?.namedBy;
  const usual = { place: { ...placeOf(resource), location, mirrors, namedBy }, integrity };
  if (!resource.isLocated) return usual;
  const found = await resource.locate({
    description,
    get namedBy() {
      return namedBy;
    },
    async read(other) {
      const document = reader.bind(other);
      const content = await reader.read(document);
      namedBy = services.storage.entries.peek(definition.name, document.key)?.upstreamUrl;
      return content;
    },
    async ask({ url, tokenScope, accept, maxBytes }) {
      const headers = { accept, 'accept-encoding': 'identity' };
      const place: QueryPlace = { location: url, tokenScope, namedBy };
      const reply = await upstreams.fetch({ method: 'GET', ...place, headers, signal, skipUnhealthy: false });
      return { url: reply.url, bytes: await readBody(reply, reply.url, maxBytes) };
    },
  });
  if (found === undefined) return usual;
  const place = { location: found.url, mirrors: found.mirrors, tokenScope: found.tokenScope, namedBy };
  return { place, integrity: agreed(resource.key, integrity, found.integrity ?? []), size: found.size };
}
