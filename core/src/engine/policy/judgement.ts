import type { PackageCoordinates } from '../../api/coordinates.js';
import type { Digest } from '../../api/digest.js';
import type { PolicyDecision, PolicyInput } from '../../api/policy.js';

/** A decision of policy about one subject. */
export interface Judgement {
  readonly coordinates: PackageCoordinates;
  readonly stage: PolicyInput['stage'];
  readonly decision: PolicyDecision;
  readonly digest?: Digest | undefined;
  /** Whether it depends on when this process first met something, which others may have met at another time. */
  readonly countsFirstSight: boolean;
}

/** Whether a client is turned away. */
export function isRefused({ decision: { action } }: Judgement): boolean {
  return action === 'deny' || action === 'hold';
}

/** Whether lists name it. */
export function isListed({ decision: { action } }: Judgement): boolean {
  return action === 'allow' || action === 'warn';
}
