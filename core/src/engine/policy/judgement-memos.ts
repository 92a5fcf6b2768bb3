import type { Digest } from '../../api/digest.js';
import type { Entry } from '../../api/entry-index.js';
import type { ScanAnswer } from '../../api/scan-desk.js';
import type { EngineServices } from '../store/repository.js';
import type { ContentFindings } from './content-findings.js';
import type { JudgeContext } from './evaluation.js';
import { isRefused, type Judgement } from './judgement.js';

/** The name of cached bytes can change: another judgement follows within this time; milliseconds. */
const LONGEST_MEMO = 60_000;

/** Everything that a judgement depends on. */
interface Memo {
  readonly judgement: Judgement;
  /** Of the document that described the bytes; `undefined`: none did. */
  readonly document: Digest | undefined;
  readonly answer: ScanAnswer | undefined;
  readonly caller: string | undefined;
  readonly revision: string;
  /** Of the findings in contents. */
  readonly mark: string;
  /** Milliseconds since the epoch. */
  readonly until: number;
}

/** Remembers the newest judgement of each cached entry, so that a hit asks no policy. */
export function createJudgementMemos({ policy, scanDesk }: EngineServices, contents: ContentFindings) {
  /** Entries are replaced, never changed: they leave with their memo. */
  const memos = new WeakMap<Entry, Memo>();

  return {
    /** @param document that describes the bytes, as memory knows it */
    find({ now, caller }: JudgeContext, entry: Entry, document: Digest | undefined): Judgement | undefined {
      const memo = memos.get(entry);
      if (memo === undefined) return undefined;
      const { judgement } = memo;
      const { coordinates } = judgement;
      const holds =
        memo.revision === policy.revision() &&
        (document === undefined || memo.document === document) &&
        memo.caller === caller?.name &&
        memo.mark === contents.mark(coordinates) &&
        now < memo.until &&
        (judgement.stage === 'request' || memo.answer === scanDesk?.peek({ coordinates, digest: entry.digest }));
      return holds ? judgement : undefined;
    },

    set({ now, caller }: JudgeContext, entry: Entry, made: Pick<Memo, 'judgement' | 'document' | 'answer'>): void {
      const { coordinates, decision, stage } = made.judgement;
      if (stage === 'content' && isRefused(made.judgement)) contents.refused(entry);
      memos.set(entry, {
        ...made,
        caller: caller?.name,
        revision: policy.revision(),
        mark: contents.mark(coordinates),
        until: Math.min(decision.nextChangeAt ?? Infinity, now + LONGEST_MEMO),
      });
    },
  };
}
