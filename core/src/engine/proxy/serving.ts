import type { Fetching } from '../fetch/fetching.js';
import type { Stored } from '../fetch/shared-flight.js';
import type { ReplyParts } from '../reply/reply-parts.js';
import type { NegativeCache } from '../store/negative-cache.js';
import type { Upstreams } from '../upstream/upstreams.js';

/** Parts of a repository that serve its stored resources. */
export interface ServingParts extends ReplyParts {
  readonly upstreams: Upstreams;
  readonly fetching: Fetching;
  readonly negative: NegativeCache;
}

/** Whether the upstream can be asked for it apart from the store: not for what is made here, or has to be kept with others first. */
export function fliesAlone(resource: Stored): boolean {
  return !resource.produced && !(resource.kind === 'artifact' && resource.publishedWith !== undefined);
}
