import { packageUrl, type PackageCoordinates } from '../../api/coordinates.js';
import type { Digest } from '../../api/digest.js';
import type { ArtifactDescription } from '../../api/protocol.js';
import type { RenderRequest } from '../../plugin/classes.js';
import type { FindingsByVersion } from './content-findings.js';
import { denialText } from './denial.js';
import { isListed, type Judgement } from './judgement.js';
import type { Judge } from './judge.js';

/** The facts that a whole list is judged with: it is the same for all its readers. */
export interface ListOptions {
  readonly now: number;
  /** The URL of the repository as its client reaches it. */
  readonly baseUrl: string;
  /** Findings of scans in the contents of the versions. */
  readonly found: FindingsByVersion;
  /** Called with the instant at which time alone can change the list; milliseconds since the epoch. */
  readonly notice: (at: number) => void;
}

/** Judges the versions of one document for the hook that writes it, all at the same instant. */
export function listPolicy(
  judge: Judge,
  { now, baseUrl, found, notice }: ListOptions,
): Pick<RenderRequest, 'admits' | 'refusal'> {
  const context = { now };
  const judged = (
    coordinates: PackageCoordinates,
    description?: Partial<ArtifactDescription>,
  ): Judgement | undefined => {
    const contents =
      found.size === 0
        ? undefined
        : found.get(packageUrl(coordinates))?.filter(({ digest }) => mayHave(digest, description));
    return judge(context, { kind: 'version', coordinates, description, contents }).judgement;
  };
  return {
    admits(coordinates, description) {
      const judgement = judged(coordinates, description);
      const changesAt = judgement?.decision.nextChangeAt;
      if (changesAt !== undefined) notice(changesAt);
      return judgement === undefined || isListed(judgement);
    },
    refusal(coordinates, description) {
      const judgement = judged(coordinates, description);
      if (judgement === undefined || isListed(judgement)) return undefined;
      return denialText(coordinates, judgement.decision, baseUrl);
    },
  };
}

/** Whether bytes with this digest may be those that a document promises. */
function mayHave(digest: Digest, description: Partial<ArtifactDescription> | undefined): boolean {
  const promised = description?.integrity?.filter(({ algorithm }) => algorithm === 'sha256') ?? [];
  return promised.length === 0 || promised.some(({ hex }) => digest === `sha256:${hex}`);
}
