import type { DecisionRecorder } from '../policy/decision-recorder.js';
import type { JudgingParts } from '../policy/judge.js';
import type { Representations } from './representations.js';

/** Parts of a repository that reply to requests for what it has. */
export interface ReplyParts extends JudgingParts {
  readonly decisions: DecisionRecorder;
  readonly representations: Representations;
}
