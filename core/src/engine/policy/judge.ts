import { packageUrl, type PackageCoordinates } from '../../api/coordinates.js';
import type { ScanAnswer } from '../../api/scan-desk.js';
import { nameOf } from '../store/pinned-name.js';
import type { EngineServices, RepositoryDefinition } from '../store/repository.js';
import type { ContentFindings } from './content-findings.js';
import { agedAsOf, createEvaluate, type JudgeContext, type Known } from './evaluation.js';
import { describedCoordinates, factsNow } from './facts.js';
import { createFirstScan } from './first-scan.js';
import { isListed } from './judgement.js';
import { createJudgementMemos } from './judgement-memos.js';
import {
  isJudgedUnscanned,
  type CachedSubject,
  type FetchedSubject,
  type ImmediateSubject,
  type Judged,
  type PartSubject,
  type SidecarSubject,
  type Subject,
  type VersionSubject,
} from './subject.js';
import { UNNAMED, verdictOf, type PendingVerdict, type SettledVerdict, type Verdict } from './verdict.js';

const NO_RESOURCE: Judged = {};
const NOT_SCANNED: ScanAnswer = { reports: [], failures: [] };

/** Judges one subject for one request: the one way to policy (architecture §6.8). */
export interface Judge {
  (context: JudgeContext, subject: ImmediateSubject): SettledVerdict;
  (context: JudgeContext, subject: Subject): Verdict;
}

/** Parts of a repository that judge, and what they judge with. */
export interface JudgingParts {
  readonly definition: RepositoryDefinition;
  readonly services: EngineServices;
  readonly contents: ContentFindings;
  readonly judge: Judge;
}

/** Makes the judge of one repository. */
export function createJudge(
  definition: RepositoryDefinition,
  services: EngineServices,
  contents: ContentFindings,
): Judge {
  const { scanDesk } = services;
  const evaluate = createEvaluate(definition, services);
  const memos = createJudgementMemos(services, contents);
  const firstScan = createFirstScan(definition, services, contents, evaluate);

  function judge(context: JudgeContext, subject: ImmediateSubject): SettledVerdict;
  function judge(context: JudgeContext, subject: Subject): Verdict;
  function judge(context: JudgeContext, subject: Subject): Verdict {
    switch (subject.kind) {
      case 'name':
        return judgeName(context, subject.coordinates);
      case 'version':
        return judgeVersion(context, subject);
      case 'cached':
        return judgeCached(context, subject);
      case 'fetched':
        return judgeFetched(context, subject);
      case 'part':
        return judgePart(context, subject);
      case 'sidecar':
        return { outcome: 'pending', settle: () => judgeSidecar(context, subject) };
    }
  }
  return judge;

  function judgeName({ now }: JudgeContext, coordinates: PackageCoordinates | undefined): SettledVerdict {
    if (coordinates === undefined) return UNNAMED;
    const { ecosystem, name } = coordinates;
    return verdictOf(NO_RESOURCE, evaluate({ now }, { coordinates: { ecosystem, name } }));
  }

  function judgeVersion(
    context: JudgeContext,
    { coordinates, resource = NO_RESOURCE, description, digest, ...rest }: Omit<VersionSubject, 'kind'>,
  ): SettledVerdict {
    const { contents: findings = [], isUndated } = rest;
    const agedAs = isUndated === true ? 'unknown' : agedAsOf(resource, coordinates, digest);
    const known: Known = { coordinates, facts: description, integrity: description?.integrity, agedAs };
    let judgement = evaluate(context, known);
    for (const content of findings) {
      if (!isListed(judgement)) break;
      const ofContent = evaluate(context, { ...known, content }, content.answer);
      if (!isListed(ofContent)) judgement = ofContent;
    }
    return verdictOf(resource, judgement);
  }

  function judgeFetched(context: JudgeContext, { coordinates, resource, ...rest }: FetchedSubject): SettledVerdict {
    if (coordinates === undefined) return UNNAMED;
    const verdict = judgeVersion(context, { ...rest, coordinates, resource });
    if (verdict.outcome !== 'allow' || verdict.judgement === undefined || isJudgedUnscanned(resource)) return verdict;
    return firstScan.unscanned(verdict.judgement);
  }

  function judgePart({ now }: JudgeContext, { namedBy }: PartSubject): SettledVerdict {
    const { coordinates, facts, digest } = namedBy;
    if (coordinates === undefined) return UNNAMED;
    const agedAs = { ...coordinates, version: nameOf(namedBy) };
    const known: Known = { coordinates, entry: namedBy, facts, agedAs };
    return verdictOf(NO_RESOURCE, evaluate({ now }, known, scanDesk?.peek({ coordinates, digest })));
  }

  function judgeCached(context: JudgeContext, subject: CachedSubject): SettledVerdict | PendingVerdict {
    const judgement = memos.find(context, subject.entry, subject.document);
    if (judgement !== undefined) return verdictOf(subject.resource, judgement);
    return { outcome: 'pending', settle: () => judgeAnew(context, subject) };
  }

  async function judgeAnew(context: JudgeContext, subject: CachedSubject): Promise<SettledVerdict> {
    const { resource, entry, document } = subject;
    const description = await subject.describe();
    const coordinates = describedCoordinates(description) ?? entry.coordinates ?? resource.coordinates;
    if (coordinates === undefined) return UNNAMED;
    const facts = factsNow(entry, description);
    const agedAs = agedAsOf(resource, coordinates, nameOf(entry));
    if (isJudgedUnscanned(resource)) {
      const verdict = await judgeSidecar(context, { kind: 'sidecar', resource, coordinates, facts });
      if (verdict.outcome !== 'allow') return verdict;
      // Judged as if its bytes were not here, but kept since then, which graces look at.
      const known = { coordinates, facts, storedAt: entry.fetchedAt, agedAs };
      const judgement = evaluate(context, known, NOT_SCANNED);
      memos.set(context, entry, { judgement, document, answer: undefined });
      return verdictOf(resource, judgement);
    }
    const known = { coordinates, facts, entry, agedAs };
    const answer = scanDesk?.peek({ coordinates, digest: entry.digest });
    const judgement = evaluate(context, known, answer);
    const verdict = verdictOf(resource, judgement);
    if (judgement.decision.pending === true)
      return verdict.outcome === 'allow' ? await firstScan.settle(context, resource, known, judgement) : verdict;
    memos.set(context, entry, { judgement, document, answer });
    if (scanDesk !== undefined && answer === undefined) firstScan.scanLater(known);
    return verdict;
  }

  async function judgeSidecar(
    context: JudgeContext,
    { resource, coordinates, facts }: SidecarSubject,
  ): Promise<SettledVerdict> {
    if (coordinates?.version === undefined) return UNNAMED;
    const found = (await contents.of(coordinates)).get(packageUrl(coordinates)) ?? [];
    for (const content of found) {
      if (resource.sidecarOf !== undefined && resource.sidecarOf !== content.key) continue;
      const verdict = verdictOf(resource, evaluate(context, { coordinates, facts, content }, content.answer));
      if (verdict.outcome === 'refuse') return verdict;
    }
    return UNNAMED;
  }
}
