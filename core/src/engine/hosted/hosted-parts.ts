import type { ContentFindings } from '../policy/content-findings.js';
import type { DecisionRecorder } from '../policy/decision-recorder.js';
import type { Judge } from '../policy/judge.js';
import type { Representations } from '../reply/representations.js';
import type { EngineServices, RepositoryDefinition } from '../store/repository.js';

/** The parts of a hosted repository. */
export interface HostedParts {
  readonly definition: RepositoryDefinition;
  readonly services: EngineServices;
  readonly judge: Judge;
  readonly contents: ContentFindings;
  readonly decisions: DecisionRecorder;
  readonly representations: Representations;
}
