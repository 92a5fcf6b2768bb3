import type { Entry } from '../../api/entry-index.js';
import type { ArtifactResource, DocumentResource } from '../../api/resource.js';
import type { Judgement } from '../policy/judgement.js';
import { type Admission, describedCoordinates, factsNow, isArtifact, isJudgedByName } from '../policy/admission.js';
import type { Flights } from './flights.js';
import type { RequestContext } from '../request/request-context.js';

/** What kept bytes are judged with. */
export interface KeptJudging {
  readonly admission: Admission;
  /** Absent in a hosted repository: no document of others describes what it has. */
  readonly flights?: Flights | undefined;
}

/**
 * Has policy judge kept bytes for one client.
 * @returns `undefined` where policy has no name for them, or judges their name alone
 * @throws Denial when they are refused; EntrepotError `scan-unavailable` when they wait for a scan
 */
export async function judgeKept(
  { admission, flights }: KeptJudging,
  context: RequestContext,
  resource: ArtifactResource | DocumentResource,
  entry: Entry,
): Promise<Judgement | undefined> {
  if (isJudgedByName(resource)) return undefined;
  const document = flights?.documentOf(resource);
  const known = admission.known(context, resource, entry, document);
  if (known !== undefined) return known;
  await flights?.requireNames(resource);
  const description = await flights?.descriptionNow(resource, entry);
  if (!isJudgedUnscanned(resource)) return await admission.admit(context, resource, entry, description, document);
  const coordinates = describedCoordinates(description) ?? entry.coordinates ?? resource.coordinates;
  await admission.requireContents(resource, { coordinates, facts: factsNow(entry, description) }, context);
  return admission.admitUnscanned(context, resource, entry, description, document);
}

/** Whether `resource` is judged by what its document says alone: it only tells of an artifact, and nobody scans it. */
export function isJudgedUnscanned(resource: ArtifactResource | DocumentResource): boolean {
  return resource.sidecar === true || !isArtifact(resource);
}
