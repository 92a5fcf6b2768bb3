import type { Digest } from '../../api/digest.js';
import type { ArtifactResource, DocumentResource } from '../request/resource.js';
import type { SharedFlight } from './shared-flight.js';

/** The running fetches of content-addressed bytes, over all names of a repository. */
export class ContentFlights {
  readonly #running = new Map<Digest, SharedFlight>();

  /** The flight that is bringing the bytes with `digest`. */
  get(digest: Digest): SharedFlight | undefined {
    return this.#running.get(digest);
  }

  /** Lets others follow `flight` until it ends, unless they follow another one already. */
  offer(digest: Digest, flight: SharedFlight): void {
    if (this.#running.has(digest)) return;
    this.#running.set(digest, flight);
    const ended = (): void => void this.#running.delete(digest);
    flight.done.then(ended, ended);
  }
}

/** The digest that names the bytes of `resource`, where one does. */
export function contentDigest(resource: ArtifactResource | DocumentResource): Digest | undefined {
  if (resource.kind !== 'artifact' || resource.contentAddressed !== true) return undefined;
  const named = resource.integrity?.find(({ algorithm }) => algorithm === 'sha256');
  return named === undefined ? undefined : `sha256:${named.hex}`;
}
