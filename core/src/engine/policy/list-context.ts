import { packageUrl, type PackageCoordinates } from '../../api/coordinates.js';
import type { Digest } from '../../api/digest.js';
import type { ArtifactDescription } from '../../api/protocol.js';
import type { RenderRequest } from '../../plugin/classes.js';
import { denialText } from './denial.js';
import { isListed, type Judgement } from './judgement.js';
import type { JudgingParts } from './judge.js';

/** The part of a request for a document that policy makes. */
export interface ListContext {
  readonly context: Pick<RenderRequest, 'baseUrl' | 'admits' | 'refusal'>;
  /** When policy can change the document by time alone, as far as it was asked; milliseconds since the epoch. */
  changesAt(): number | undefined;
  /** Whether any other process would judge the same way, as far as it was asked. */
  isShareable(): boolean;
}

/**
 * Judges the versions of one document for the hook that writes it, all at the same instant: a list is the same for all its readers.
 * @param baseUrl the URL of the repository as its client reaches it
 */
export async function listContext(
  { judge, contents, services }: JudgingParts,
  { baseUrl }: { readonly baseUrl: string },
  {
    coordinates: name,
    isUndated,
  }: { readonly coordinates: PackageCoordinates | undefined; readonly isUndated: boolean },
): Promise<ListContext> {
  const found = await contents.of(name);
  const context = { now: services.clock.now() };
  let earliest = Infinity;
  let isShareable = true;
  const judged = (coordinates: PackageCoordinates, description?: ArtifactDescription): Judgement | undefined => {
    const findings =
      found.size === 0
        ? undefined
        : found.get(packageUrl(coordinates))?.filter(({ digest }) => mayHave(digest, description));
    const { judgement } = judge(context, { kind: 'version', coordinates, description, contents: findings, isUndated });
    if (judgement?.countsFirstSight === true) isShareable = false;
    return judgement;
  };
  return {
    context: {
      baseUrl,
      admits(coordinates, description) {
        const judgement = judged(coordinates, description);
        earliest = Math.min(earliest, judgement?.decision.nextChangeAt ?? Infinity);
        return judgement === undefined || isListed(judgement);
      },
      refusal(coordinates, description) {
        const judgement = judged(coordinates, description);
        if (judgement === undefined || isListed(judgement)) return undefined;
        return denialText(coordinates, judgement.decision, baseUrl);
      },
    },
    isShareable: () => isShareable,
    changesAt: () => (earliest === Infinity ? undefined : earliest),
  };
}

/** Whether bytes with this digest may be those that a document promises. */
function mayHave(digest: Digest, description: Partial<ArtifactDescription> | undefined): boolean {
  const promised = description?.integrity?.filter(({ algorithm }) => algorithm === 'sha256') ?? [];
  return promised.length === 0 || promised.some(({ hex }) => digest === `sha256:${hex}`);
}
