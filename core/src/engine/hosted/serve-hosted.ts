import { judgeKept } from '../fetch/judge-kept.js';
import { requireAllowed, requireSettled } from '../policy/verdict.js';
import { HotReplies } from '../reply/hot-replies.js';
import { respond } from '../reply/respond.js';
import type { RequestContext } from '../request/request-context.js';
import type { EngineReply } from '../request/request.js';
import type { ArtifactResource, DocumentResource, ListingResource } from '../request/resource.js';
import { blobMissing } from '../store/blob-missing.js';
import { missing } from './hosted-changes.js';
import { createListingHandler } from './hosted-documents.js';
import type { ReplyParts } from '../reply/reply-parts.js';

/** Creates the handler of requests for what a hosted repository has: we are the origin. */
export function createHostedHandler(parts: ReplyParts) {
  const { decisions, definition, judge, representations, services } = parts;
  const { entries } = services.storage;
  const serveListing = createListingHandler(parts);
  const hot = new HotReplies(parts);

  return async (
    context: RequestContext,
    resource: ArtifactResource | DocumentResource | ListingResource,
  ): Promise<EngineReply> => {
    const known = entries.revision(definition.name);
    const revision = typeof known === 'number' ? known : await known;
    if (resource.kind !== 'listing') return hot.ready(context, resource) ?? (await serveStored(context, resource));
    const { coordinates } = resource;
    if (coordinates !== undefined) requireAllowed(judge(context, { kind: 'version', resource, coordinates }));
    await requireSettled(judge(context, { kind: 'sidecar', resource, coordinates }));
    return await serveListing(context.request, resource, revision);
  };

  async function serveStored(
    context: RequestContext,
    resource: ArtifactResource | DocumentResource,
  ): Promise<EngineReply> {
    const entry = await entries.find(definition.name, resource.key);
    if (entry === undefined) throw missing(resource.key);
    const place = hot.placeOf(context, resource, entry);
    const judgement = await judgeKept({ judge }, context, resource, entry);
    const shown = await representations.kept(context.request, resource, entry, { name: 'hit' }, judgement);
    if (shown === undefined) throw blobMissing(`of ${resource.key}`);
    const reply = await respond(context.request, shown);
    decisions.record(context, resource, judgement);
    if (place !== undefined) hot.keep(place, shown.changesAt ?? Infinity, { reply, judgement });
    return reply;
  }
}
