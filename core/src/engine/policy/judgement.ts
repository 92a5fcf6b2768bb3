import type { PackageCoordinates } from '../../api/coordinates.js';
import type { Digest } from '../../api/digest.js';
import type { PolicyDecision, PolicyInput } from '../../api/policy.js';

/** A decision of policy about one subject. */
export interface Judgement {
  readonly coordinates: PackageCoordinates;
  readonly stage: PolicyInput['stage'];
  readonly decision: PolicyDecision;
  readonly digest?: Digest | undefined;
}
