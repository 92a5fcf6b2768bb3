import type { PackageCoordinates } from '../../api/coordinates.js';
import type { Digest } from '../../api/digest.js';
import type { Entry } from '../../api/entry-index.js';
import type { ArtifactFacts } from '../../api/facts.js';
import type { Integrity } from '../../api/integrity.js';
import type { ContentFinding, ScanAnswer } from '../../api/scan-desk.js';
import type { RequestContext } from '../request/request-context.js';
import type { EngineServices, RepositoryDefinition } from '../store/repository.js';
import type { Judgement } from './judgement.js';
import type { Judged } from './subject.js';

/** The part of a request that a judgement depends on. Without a caller, it is for several. */
export type JudgeContext = Pick<RequestContext, 'now'> & Partial<RequestContext>;

/** Facts about one subject, from wherever they are known. */
export interface Known {
  readonly coordinates: PackageCoordinates;
  readonly facts?: ArtifactFacts | undefined;
  readonly integrity?: readonly Integrity[] | undefined;
  /** The cached bytes. */
  readonly entry?: Entry | undefined;
  readonly storedAt?: number | undefined;
  /** Facts about cached bytes that are not at hand. */
  readonly content?: Pick<ContentFinding, 'digest' | 'size' | 'storedAt'> | undefined;
  /** Coordinates whose first sight counts. Absent: `coordinates`; `unknown`: the digest of the bytes is not known yet. */
  readonly agedAs?: PackageCoordinates | 'unknown' | undefined;
}

/** Asks policy about one subject. */
export type Evaluate = (context: JudgeContext, known: Known, answer?: ScanAnswer) => Judgement;

/** Makes the one call of the policy engine for a repository. */
export function createEvaluate({ name, kind }: RepositoryDefinition, services: EngineServices): Evaluate {
  const { policy, firstSeen } = services;
  const repository = { name, kind };
  return ({ now, caller }, known, answer) => {
    const { coordinates, facts = {}, integrity, entry, content, agedAs = coordinates } = known;
    const { storedAt = entry?.fetchedAt ?? content?.storedAt } = known;
    const stage = entry === undefined && content === undefined ? 'request' : 'content';
    const digest = entry?.digest ?? content?.digest;
    let countsFirstSight = false;
    const decision = policy.evaluate({
      stage,
      repository,
      coordinates,
      facts,
      storedAt,
      // Asked only where a rule counts from it: being asked for is what makes a version seen.
      get firstSeenAt() {
        countsFirstSight = firstSeen !== undefined;
        // Lists tell of a name by its own first sight.
        if (agedAs !== coordinates) firstSeen?.(name, coordinates);
        if (agedAs === 'unknown') return storedAt ?? 'unknown';
        const seen = firstSeen?.(name, agedAs);
        return seen === undefined ? storedAt : Math.min(seen, storedAt ?? seen);
      },
      digest,
      size: entry?.size ?? content?.size,
      integrity: digest === undefined ? integrity : sumsOf(digest, entry?.integrity ?? integrity),
      reports: answer?.reports,
      scanFailures: answer?.failures,
      caller: caller?.name,
      now,
    });
    return { coordinates, stage, decision, digest, countsFirstSight };
  };
}

/**
 * Finds the coordinates that the age of something is counted from. A tag may be moved, so it is as old as the content that
 * it names now. A part without a version of its own is known by its digest.
 */
export function agedAsOf(
  { pinned, contentAddressed, integrity = [] }: Judged,
  coordinates: PackageCoordinates,
  digest: Digest | undefined,
): Known['agedAs'] {
  if (pinned !== undefined) return digest === undefined ? 'unknown' : { ...coordinates, version: digest };
  const [sum] = integrity;
  if (contentAddressed !== true || coordinates.version !== undefined || sum === undefined) return undefined;
  return { ...coordinates, version: `${sum.algorithm}:${sum.hex}` };
}

/** Notes that `parts` were there when their whole, the bytes with `digest`, was first seen: an image has one age. */
export function noteParts(
  { name }: RepositoryDefinition,
  { firstSeen }: Pick<EngineServices, 'firstSeen'>,
  { coordinates }: Pick<Judged, 'coordinates'>,
  digest: Digest,
  parts: readonly PackageCoordinates[],
): void {
  const since = coordinates && firstSeen?.(name, { ...coordinates, version: digest });
  for (const part of parts) firstSeen?.(name, part, since);
}

/** Names cached bytes by their digest besides the sums that were promised. */
function sumsOf(digest: Digest, integrity: readonly Integrity[] = []): readonly Integrity[] {
  const hex = digest.slice('sha256:'.length);
  return integrity.some((sum) => sum.hex === hex) ? integrity : [...integrity, { algorithm: 'sha256', hex }];
}
