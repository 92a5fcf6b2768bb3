import { asEntrepotError } from '../../api/errors.js';
import type { FirstFetch, FiredRule, PolicyDecision } from '../../api/policy.js';
import type { ScanAnswer, ScanWish } from '../../api/scan-desk.js';
import type { ScanSubject } from '../../api/scanner.js';
import { untilAborted } from '../../formats/until-aborted.js';
import type { EngineServices, RepositoryDefinition } from '../store/repository.js';
import type { ContentFindings } from './content-findings.js';
import type { Evaluate, JudgeContext, Known } from './evaluation.js';
import { isRefused, type Judgement } from './judgement.js';
import type { Judged } from './subject.js';
import { verdictOf, type SettledVerdict } from './verdict.js';

/** The rule where a policy has none. */
const SERVED_MEANWHILE: FirstFetch = { action: 'allow', deadline: 0, onTimeout: 'allow' };

/** Applies the rule for the first fetch, where a judgement waits for the reports on bytes. */
export function createFirstScan(
  { name: repository }: RepositoryDefinition,
  { clock, logger, policy, scanDesk }: EngineServices,
  contents: ContentFindings,
  evaluate: Evaluate,
) {
  return { settle, unscanned, scanLater };

  /** Judges cached bytes when the reports are here, or as the rule says when they are late. */
  async function settle(
    context: JudgeContext,
    resource: Judged,
    known: Known,
    before: Judgement,
  ): Promise<SettledVerdict> {
    const { deadline, onTimeout } = rule();
    if (deadline <= 0) {
      // A client that is turned away wants it as much as one that holds the line.
      scanLater(known, onTimeout === 'allow' ? 'background' : 'waiting');
      return unscanned(before);
    }
    const answer = await waitForScan(context.request?.signal, known, deadline);
    const after = answer === undefined ? before : evaluate(context, known, answer);
    if (isRefused(after) && known.entry !== undefined) contents.refused(known.entry);
    const verdict = verdictOf(resource, after);
    return verdict.outcome === 'refuse' ? verdict : unscanned(after);
  }

  /** Applies the rule for late reports to an allowed judgement. */
  function unscanned(judgement: Judgement): SettledVerdict {
    if (judgement.decision.pending !== true) return { outcome: 'allow', judgement };
    const { onTimeout } = rule();
    if (onTimeout === 'allow') return { outcome: 'allow', judgement };
    if (onTimeout === 'deny')
      return { outcome: 'refuse', judgement: { ...judgement, decision: notScanned(judgement.decision) } };
    return { outcome: 'retry', judgement };
  }

  /** Starts a scan that this request does not wait for. */
  function scanLater(known: Known, priority: ScanWish['priority'] = 'background'): void {
    const wish = { priority, signal: new AbortController().signal };
    scanDesk?.request(scanned(known), wish).catch((error: unknown) => {
      logger.warn({ error, repository, key: known.entry?.key }, 'a scan failed');
    });
  }

  /** The time that a client waits for reports, and the action that follows then: at once for a version that is not held. */
  function rule(): Pick<FirstFetch, 'deadline' | 'onTimeout'> {
    const found = policy.firstFetch?.(repository) ?? SERVED_MEANWHILE;
    return found.action === 'hold' ? found : { deadline: 0, onTimeout: found.action };
  }

  /** Waits for the reports on cached bytes. `undefined`: they are late, or cannot be had. */
  async function waitForScan(
    signal: AbortSignal | undefined,
    known: Known,
    deadline: number,
  ): Promise<ScanAnswer | undefined> {
    if (scanDesk === undefined) return undefined;
    const tooLate = AbortSignal.timeout(deadline);
    const both = signal === undefined ? tooLate : AbortSignal.any([signal, tooLate]);
    const wish = { priority: 'waiting', deadline: clock.now() + deadline, signal: both } as const;
    try {
      return await untilAborted(scanDesk.request(scanned(known), wish), both);
    } catch (error) {
      signal?.throwIfAborted();
      if (tooLate.aborted || asEntrepotError(error, 'plugin', '').kind === 'scan-unavailable') return undefined;
      throw error;
    }
  }
}

function scanned({ coordinates, entry }: Known): ScanSubject {
  return { coordinates, digest: entry?.digest };
}

function notScanned(decision: PolicyDecision): PolicyDecision {
  const rule: FiredRule = { id: 'first-fetch', action: 'deny', reason: 'it was not scanned in time' };
  return { ...decision, action: 'deny', rules: [rule, ...decision.rules] };
}
