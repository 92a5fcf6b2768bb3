import { EntrepotError } from '../../api/errors.js';
import type { ArtifactResource, DocumentResource, BoundResource } from '../request/resource.js';
import type { RequestContext } from '../request/request-context.js';
import type { EngineServices, RepositoryDefinition } from '../store/repository.js';
import type { Judgement } from './judgement.js';
import { isPinned } from '../store/pinned-name.js';

/** Recorder of the decisions of one repository. */
export type DecisionRecorder = ReturnType<typeof createDecisionRecorder>;

/** Hands decisions about artifacts to the observer, which keeps the journal. */
export function createDecisionRecorder(
  { name: repository }: RepositoryDefinition,
  { observer, policy }: EngineServices,
) {
  function record(
    context: RequestContext,
    resource: ArtifactResource | DocumentResource,
    judgement: Judgement | undefined,
    refused = false,
  ): void {
    if (observer?.decided === undefined || judgement === undefined) return;
    if (resource.kind !== 'artifact' && !isPinned(resource)) return;
    if (resource.sidecar === true && !refused) return;
    // Field by field: this is done for every hit, and a spread costs more than the whole rest of it.
    const { coordinates, stage, decision, digest } = judgement;
    const revision = policy.revision();
    observer.decided({ repository, coordinates, stage, decision, refused, revision, digest, context });
  }

  /** Records a request that failed, if policy refused it. */
  function recordRefusal(context: RequestContext, resource: BoundResource | undefined, error: unknown): void {
    if (resource?.kind !== 'artifact' && resource?.kind !== 'document') return;
    if (!(error instanceof EntrepotError) || !('judgement' in error)) return;
    record(context, resource, error.judgement as Judgement, true);
  }

  return { record, recordRefusal };
}
