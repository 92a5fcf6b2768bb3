import { EntrepotError } from '../../api/errors.js';
import type { FiredRule } from '../../api/policy.js';
import { Denial } from './denial.js';
import { isRefused, type Judgement } from './judgement.js';
import type { Judged } from './subject.js';

/** The time after which a client that was turned away for a scan may come back; seconds. */
const RETRY_AFTER = 2;

/** Allows a subject. Without a judgement: policy has no name for it. */
export interface Allowance {
  readonly outcome: 'allow';
  readonly judgement: Judgement | undefined;
}

/** Refuses a subject (`refuse`), or puts its client off until it is scanned (`retry`). */
export interface Refusal {
  readonly outcome: 'refuse' | 'retry';
  readonly judgement: Judgement;
}

/** A verdict that holds for one request. */
export type SettledVerdict = Allowance | Refusal;

/** A verdict that needs a document, findings or a scan. */
export interface PendingVerdict {
  readonly outcome: 'pending';
  /** @throws EntrepotError as the document that describes the subject is read */
  settle(): Promise<SettledVerdict>;
}

/** Answer of policy about one subject. */
export type Verdict = SettledVerdict | PendingVerdict;

/** Allows what policy has no name for. */
export const UNNAMED: Allowance = { outcome: 'allow', judgement: undefined };

/** Signals that the bytes are here and wait for a scan. */
export class ScanPending extends EntrepotError {
  readonly judgement: Judgement;

  constructor(judgement: Judgement) {
    super('scan-unavailable', 'Scan pending: retry in a moment', { code: 'SCAN_PENDING', retryAfter: RETRY_AFTER });
    this.judgement = judgement;
  }
}

/** Applies a judgement to `resource`: some are refused for malice alone. */
export function verdictOf({ refusedOnlyIfMalicious = false }: Judged, judgement: Judgement): SettledVerdict {
  const isAllowed =
    !isRefused(judgement) || (refusedOnlyIfMalicious && !judgement.decision.rules.some((rule) => isForMalice(rule)));
  return { outcome: isAllowed ? 'allow' : 'refuse', judgement };
}

/** @throws Denial for `refuse`; EntrepotError `scan-unavailable` for `retry` */
export function requireAllowed(verdict: SettledVerdict): Judgement | undefined {
  if (verdict.outcome === 'allow') return verdict.judgement;
  throw verdict.outcome === 'refuse' ? new Denial(verdict.judgement) : new ScanPending(verdict.judgement);
}

/**
 * Waits for a verdict.
 * @throws Denial for `refuse`; EntrepotError `scan-unavailable` for `retry`, or as the verdict settles
 */
export async function requireSettled(verdict: Verdict): Promise<Judgement | undefined> {
  return requireAllowed(verdict.outcome === 'pending' ? await verdict.settle() : verdict);
}

function isForMalice({ action, malicious, findings = [] }: FiredRule): boolean {
  if (action !== 'deny' && action !== 'hold') return false;
  return malicious === true || findings.some((id) => id.startsWith('MAL-'));
}
