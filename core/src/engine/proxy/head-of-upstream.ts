import { EntrepotError } from '../../api/errors.js';
import type { TransportReply } from '../../api/transport.js';
import { askingHeaders } from '../fetch/asking.js';
import { planCoding } from '../fetch/content-coding.js';
import { contentDigest } from '../fetch/content-flights.js';
import { describedPlace } from '../fetch/described-place.js';
import { keptHeaders } from '../fetch/kept-headers.js';
import { isPage, namesFile } from '../fetch/login-page.js';
import { isUnsettled } from '../fetch/media-type.js';
import type { Representations } from '../reply/representations.js';
import { respond, type Representation } from '../reply/respond.js';
import type { RequestContext } from '../request/request-context.js';
import type { EngineReply } from '../request/request.js';
import { drain, isHeadRefused } from '../upstream/upstream-reply.js';
import type { Stored } from '../fetch/shared-flight.js';
import type { ServingParts } from './serving.js';

/** Codes of an upstream that answers, but not this. */
const REFUSALS = new Set(['UPSTREAM_FORBIDDEN', 'UPSTREAM_REFUSED']);

/**
 * Asks the upstream for the head of something that is not kept, so that a question does not fetch a large body.
 * @returns `undefined` when the upstream does not answer HEAD; then a flight finds out.
 */
export async function headOfUpstream(
  parts: ServingParts,
  context: RequestContext,
  resource: Stored,
): Promise<EngineReply | undefined> {
  const { decisions, fetching, representations, upstreams } = parts;
  const { request } = context;
  const { description, judgement } = await fetching.policy.judged(resource, context);
  const promised = resource.kind === 'artifact' ? description : undefined;
  const described = await describedPlace({ ...parts, reader: fetching.reader }, resource, promised, request.signal);
  decisions.record(context, resource, judgement);
  try {
    const reply = await upstreams.fetch({
      method: 'HEAD',
      ...described.place,
      headers: { ...askingHeaders(resource), 'accept-encoding': 'identity' },
      signal: request.signal,
      skipUnhealthy: false,
    });
    drain(reply);
    const said = reply.headers['content-type'];
    // A page in place of a file is no answer to keep to, and where it is all that there is, a flight says so.
    if (isUnsettled(resource, said) || (isPage(said ?? '') && namesFile(resource))) return undefined;
    return await respond(request, headAlone(representations, resource, reply));
  } catch (error) {
    if (!isHeadRefused(error)) throw error;
    // Where it refuses HEAD for everything, what a manifest says of the size is as good.
    const isThere = error instanceof EntrepotError && REFUSALS.has(error.code);
    const size = (resource.kind === 'artifact' ? resource.size : undefined) ?? described.size;
    if (!isThere || size === undefined) return undefined;
    return await respond(
      request,
      headAlone(representations, resource, { headers: { 'content-length': String(size) } }),
    );
  }
}

/** Makes the representation of a head without a body. */
function headAlone(
  representations: Representations,
  resource: Stored,
  reply: Pick<TransportReply, 'headers'>,
): Representation {
  const { headers } = reply;
  const coding = planCoding(resource, { headers }, []);
  // Of what is undone nobody knows the size.
  const size = coding.kind === 'undo' ? undefined : headers['content-length'];
  const digest = contentDigest(resource);
  const mediaType = headers['content-type'] ?? resource.fallbackMediaType ?? 'application/octet-stream';
  const passed = coding.kind === 'pass' && { 'content-encoding': coding.coding };
  const stored = { mediaType, headers: { ...keptHeaders(resource, headers), ...passed }, digest };
  return {
    ...representations.base(resource, stored, { name: 'bypass' }),
    size: size === undefined ? undefined : Number(size),
    etag: digest && `"${digest}"`,
    lastModified: headers['last-modified'],
    ranges: true,
    open: () => Buffer.alloc(0),
  };
}
