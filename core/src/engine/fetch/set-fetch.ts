import type { Entry, Fence } from '../../api/entry-index.js';
import { EntrepotError } from '../../api/errors.js';
import { flightName, newerEntry, onceInCluster } from './cluster-part.js';
import { membersOf } from './flights.js';
import { produce, type ProducedMember } from './produce.js';
import { putEntry } from './publish.js';
import type { Stored } from './shared-flight.js';
import { startFetch, type FetchContext } from './stored-fetch.js';
import type { WholeResult } from './whole-flight.js';

/** Produces a resource, or fetches several that belong together, and publishes all at once: one process of a cluster does. */
export async function fetchSet(
  context: FetchContext,
  resource: Stored,
  kept: Entry | undefined,
  signal: AbortSignal,
): Promise<WholeResult> {
  const keys = membersOf(resource).map(({ key }) => key);
  const known = kept ?? context.services.storage.entries.peek(context.definition.name, resource.key);
  /** Whatever another process has published since. Members may be lacking; the one that was asked for may not. */
  const brought = async (): Promise<WholeResult | undefined> => {
    if ((await newerEntry(context, resource.key, known)) === undefined) return undefined;
    const found = await Promise.all(keys.map((key) => newerEntry(context, key, undefined)));
    const entries = found.filter((entry) => entry !== undefined);
    if (resource.kind !== 'artifact' || resource.publishedPartly !== true) return { entries };
    const lacking = keys.filter((_, index) => found[index] === undefined);
    return { entries, lacking: new Map(lacking.map((key) => [key, lackedElsewhere(key)])) };
  };
  return await onceInCluster(context.services, flightName(context.definition.name, keys), signal, brought, (fence) =>
    fetchAnew(context, resource, kept, signal, fence),
  );
}

/** The reason why another process has published a set without one of its members. */
function lackedElsewhere(key: string): EntrepotError {
  return new EntrepotError(
    'not-found',
    `The upstream has no ${key}: another server found none beside what it published`,
    {
      code: 'UPSTREAM_NOT_FOUND',
    },
  );
}

async function fetchAnew(
  context: FetchContext,
  resource: Stored,
  kept: Entry | undefined,
  signal: AbortSignal,
  fence: Fence | undefined,
): Promise<WholeResult> {
  const { services } = context;
  const members = membersOf(resource);
  const { entries, lacking } = resource.produced
    ? { entries: await produceAll(context, members, signal, kept), lacking: undefined }
    : await fetchAll(context, members, signal);
  if (members.length === 1)
    return { entries: [await putEntry(services, resource, entries[0] as Entry, kept, fence)], lacking };
  if (resource.kind !== 'artifact' || resource.publishedPartly !== true)
    return { entries: noteKept(context, entries, await services.storage.entries.putIfAbsent(entries, fence)) };
  return { entries: await putBeside(context, entries, fence), lacking };
}

/** Tells of those of `entries` that are in force. */
function noteKept(
  { services: { observer } }: FetchContext,
  entries: readonly Entry[],
  winners: readonly Entry[],
): readonly Entry[] {
  for (const winner of winners)
    if (
      entries.some(
        ({ key, digest, fetchedAt }) =>
          key === winner.key && digest === winner.digest && fetchedAt === winner.fetchedAt,
      )
    )
      observer?.kept?.(winner);
  return winners;
}

/**
 * Puts what a set has now beside what it had before, where that is of the same copy. Whoever finds all of it kept was second,
 * and takes the first one's copy.
 */
async function putBeside(
  { services }: FetchContext,
  entries: readonly Entry[],
  fence: Fence | undefined,
): Promise<readonly Entry[]> {
  const { entries: index } = services.storage;
  // One look at all of them: another replica may publish them at this moment.
  const kept = await index.putIfAbsent(entries, fence);
  if (kept.length === entries.length) return kept;
  const digests = new Map(kept.map(({ key, digest }) => [key, digest]));
  for (const { key, digest } of entries) {
    if ((digests.get(key) ?? digest) === digest) continue;
    throw new EntrepotError('integrity', `${key} is kept, and the upstream has another copy now`, {
      code: 'SET_CHANGED',
    });
  }
  const others = entries.filter(({ key }) => !digests.has(key));
  return [...kept, ...(await index.putIfAbsent(others, fence))];
}

async function produceAll(
  context: FetchContext,
  members: readonly Stored[],
  signal: AbortSignal,
  kept: Entry | undefined,
): Promise<readonly Entry[]> {
  const described: ProducedMember[] = [];
  for (const resource of members) described.push({ resource, description: await context.policy.described(resource) });
  return await produce(context, described, signal, kept);
}

async function fetchAll(context: FetchContext, members: readonly Stored[], signal: AbortSignal): Promise<WholeResult> {
  const flights = members.map((resource) => startFetch(context, { resource, keep: 'blob' }));
  signal.addEventListener('abort', () => flights.forEach((flight) => flight.abort()), { once: true });
  const lacking = new Map<string, EntrepotError>();
  const coming = flights.map(async ({ done }, index) => {
    const member = members[index] as Stored;
    try {
      return await done;
    } catch (error) {
      const mayLack = member.kind === 'artifact' && member.publishedPartly === true;
      if (!mayLack || !(error instanceof EntrepotError) || error.kind !== 'not-found') throw error;
      lacking.set(member.key, error as EntrepotError);
      return undefined;
    }
  });
  const results = await Promise.all(coming).catch((error: unknown) => {
    for (const flight of flights) flight.abort();
    throw error;
  });
  const entries = results.flatMap((result) => {
    if (result === undefined) return [];
    if (result.kind === 'stored') return [result.entry];
    const { key } = result.entry;
    throw new EntrepotError('storage', `${key} could not be kept, and must not be served before it is`, {
      code: 'STORAGE_FULL',
    });
  });
  return { entries, lacking };
}
