import type { Entry } from '../../api/entry-index.js';
import type { ArtifactResource, DocumentResource } from '../request/resource.js';
import type { Judge } from '../policy/judge.js';
import type { Judgement } from '../policy/judgement.js';
import { isJudgedByName } from '../policy/subject.js';
import { requireAllowed } from '../policy/verdict.js';
import type { RequestContext } from '../request/request-context.js';
import type { Fetching } from './fetching.js';

/** Parts of a repository that judge cached bytes. */
export interface KeptJudging {
  readonly judge: Judge;
  /** Absent in a hosted repository: no document of others describes what it has. */
  readonly fetching?: Fetching | undefined;
}

/**
 * Has policy judge cached bytes for one request.
 * @returns `undefined` where policy has no name for them, or judges their name alone
 * @throws Denial when they are refused; EntrepotError `scan-unavailable` when they wait for a scan
 */
export async function judgeKept(
  { judge, fetching }: KeptJudging,
  context: RequestContext,
  resource: ArtifactResource | DocumentResource,
  entry: Entry,
): Promise<Judgement | undefined> {
  if (isJudgedByName(resource)) return undefined;
  const verdict = judge(context, {
    kind: 'cached',
    resource,
    entry,
    document: fetching?.keptFacts.documentOf(resource),
    describe: async () => {
      await fetching?.names.require(resource);
      return await fetching?.keptFacts.descriptionNow(resource, entry);
    },
  });
  // A hit does not wait for a turn of the event loop.
  return requireAllowed(verdict.outcome === 'pending' ? await verdict.settle() : verdict);
}
