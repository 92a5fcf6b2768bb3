import type { Fetching } from '../fetch/fetching.js';
import type { Stored } from '../fetch/shared-flight.js';
import type { ContentFindings } from '../policy/content-findings.js';
import type { DecisionRecorder } from '../policy/decision-recorder.js';
import type { Judge } from '../policy/judge.js';
import type { Representations } from '../reply/representations.js';
import type { NegativeCache } from '../store/negative-cache.js';
import type { EngineServices, RepositoryDefinition } from '../store/repository.js';
import type { Upstreams } from '../upstream/upstreams.js';

/** Parts of a repository that serve its stored resources. */
export interface ServingParts {
  readonly definition: RepositoryDefinition;
  readonly services: EngineServices;
  readonly upstreams: Upstreams;
  readonly fetching: Fetching;
  readonly judge: Judge;
  readonly contents: ContentFindings;
  readonly decisions: DecisionRecorder;
  readonly negative: NegativeCache;
  readonly representations: Representations;
}

/** Whether the upstream can be asked for it apart from the store: not for what is made here, or has to be kept with others first. */
export function fliesAlone(resource: Stored): boolean {
  return !resource.produced && !(resource.kind === 'artifact' && resource.publishedWith !== undefined);
}
