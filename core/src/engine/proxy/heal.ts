import type { Entry } from '../../api/entry-index.js';
import { asEntrepotError, EntrepotError } from '../../api/errors.js';
import type { Integrity } from '../../api/integrity.js';
import { withoutTrailingSlashes } from '../../api/trailing-slashes.js';
import { askedWithOf } from '../fetch/asking.js';
import { sourceOf } from '../fetch/publish.js';
import type { FlightContext, Stored } from '../fetch/shared-flight.js';
import { mismatchOf } from '../fetch/sums.js';
import { contentLength, Transfer, type ComingBody, type Transferred } from '../fetch/transfer.js';
import { requireAllowed } from '../policy/verdict.js';
import { bareMediaType } from '../store/content.js';
import { nameOf } from '../store/pinned-name.js';
import type { Healing, RepositoryDefinition } from '../store/repository.js';
import { Spool } from '../store/spool.js';
import { placeOf, type QueryPlace, type UpstreamReply } from '../upstream/query.js';
import { resourceAt } from './resource-at.js';

/** Bytes that a content coding adds to others that it cannot make shorter, at the most. Bytes. */
const CODING_OVERHEAD = 64 * 1024;

/**
 * Fetches the bytes of an entry again, which are damaged or missing. Only the very same ones are kept: of an artifact the first copy
 * stays the one in force. The entry of a document that has changed is removed, and the next request fetches it anew.
 */
export async function heal(context: FlightContext, entry: Entry, stop: AbortSignal): Promise<Healing> {
  const { definition, services, judge } = context;
  if (definition.kind === 'hosted' || entry.upstreamUrl === undefined)
    return { outcome: 'unreachable', reason: 'no upstream has it' };
  const named = nameOfEntry(context, entry);
  const signal = AbortSignal.any([stop, AbortSignal.timeout(definition.limits.totalTimeout)]);
  try {
    // No upstream hears of a name that policy refuses.
    requireAllowed(judge({ now: services.clock.now() }, { kind: 'name', coordinates: entry.coordinates }));
    for (const place of placesOf(entry, named))
      if (await fetchAt(context, entry, named?.resource, place, signal)) return { outcome: 'healed' };
    return await outdated(context, entry, named, 'the upstream has other bytes now');
  } catch (error) {
    stop.throwIfAborted();
    const failure = asEntrepotError(error, 'upstream-unavailable', `Fetching ${entry.key} again failed`);
    const isOther = failure.kind === 'not-found' || failure.code === 'UPSTREAM_TOO_LARGE';
    if (isOther) return await outdated(context, entry, named, failure.message);
    return { outcome: 'unreachable', reason: failure.message };
  }
}

/** The resource of an entry. */
interface Named {
  readonly resource: Stored;
  /** Whether its path leads to where the entry came from. */
  readonly isFromThere: boolean;
}

async function outdated(
  { services }: FlightContext,
  { repository, key, digest }: Entry,
  named: Named | undefined,
  reason: string,
): Promise<Healing> {
  if (named?.resource.kind === 'document') await services.storage.entries.remove(repository, key, digest);
  return { outcome: 'changed', reason };
}

/** Where the bytes may be: where they came from, else where their name leads. */
function placesOf({ upstreamUrl: location }: Entry, named: Named | undefined): readonly QueryPlace[] {
  if (named === undefined) return [{ location }];
  const usual = placeOf(named.resource);
  return named.isFromThere ? [{ ...usual, location }] : [{ ...usual, location }, usual];
}

/** Fetches the bytes, and keeps them. @returns `false` where other ones are there */
async function fetchAt(
  context: FlightContext,
  entry: Entry,
  resource: Stored | undefined,
  place: QueryPlace,
  signal: AbortSignal,
): Promise<boolean> {
  const { storage } = context.services;
  const transfer = new Transfer(context, transferredOf(entry, resource), entry, signal);
  transfer.place = place;
  const reply = await transfer.request();
  let spool = new Spool(storage.spools);
  try {
    const body = comingBody(entry, reply, spool);
    const coding = reply.headers['content-encoding']?.trim().toLowerCase() || 'identity';
    if (coding === 'identity' && (body.size ?? entry.size) !== entry.size) return false;
    const sums = await transfer.fill(body);
    if (mismatchOf(body.promised, sums) !== undefined) {
      // The digest tells whether the bytes were kept as they came, or decoded.
      const plain = coding === 'identity' ? undefined : await transfer.withoutCoding(body, coding, sums);
      if (plain === undefined) return false;
      await spool.release();
      spool = plain.spool;
    }
    if (!spool.isWhole)
      throw new EntrepotError('storage', `there is no room to fetch ${entry.key}`, {
        code: 'STORAGE_FULL',
        status: 507,
      });
    return await storage.blobs.restore(entry.repository, entry, sourceOf(spool));
  } finally {
    reply.body.destroy();
    await spool.release();
  }
}

/** A body that is promised to be that of an entry. */
function comingBody({ digest }: Entry, reply: UpstreamReply, spool: Spool): ComingBody {
  const promised: Integrity = { algorithm: 'sha256', hex: digest.slice('sha256:'.length) };
  return { reply, undo: undefined, size: contentLength(reply), promised: [promised], spool };
}

/** The way to ask for an entry: as its resource is asked for, where that is known. */
function transferredOf(entry: Entry, resource: Stored | undefined): Transferred {
  return {
    key: entry.key,
    upstreamPath: resource?.upstreamPath ?? '',
    accept: resource === undefined ? `${bareMediaType(entry.mediaType)}, */*;q=0.1` : resource.accept,
    askedWith: { ...resource?.askedWith, ...askedWithOf(entry) },
    isRendered: resource?.isRendered ?? false,
    maxBytes: entry.size + CODING_OVERHEAD,
  };
}

/** Finds the resource of an entry by the paths of clients: those of the upstream, the key, and that of a part. */
function nameOfEntry({ definition }: FlightContext, entry: Entry): Named | undefined {
  const { upstreams, plugin, protocol } = definition;
  const { key, upstreamUrl = '', coordinates, mediaType } = entry;
  const bases = upstreams.map(({ url }) => withoutTrailingSlashes(url));
  const below = bases
    .filter((base) => upstreamUrl.startsWith(`${base}/`))
    .map((base) => upstreamUrl.slice(base.length));
  // A mount that the ecosystem fixes is no part of the paths below it.
  const mounts = ['', ...(plugin.http?.sharedMounts ?? [])];
  const ofUpstream = below.flatMap((path) =>
    mounts.filter((mount) => path.startsWith(`${mount}/`)).map((mount) => path.slice(mount.length)),
  );
  const ofPart = coordinates && protocol.partPath(coordinates, { digest: nameOf(entry), mediaType });
  for (const path of [...ofUpstream, `/${key}`, ...(ofPart === undefined ? [] : [ofPart])]) {
    const resource = storedAt(definition, path);
    if (resource?.key === key) return { resource, isFromThere: ofUpstream.includes(path) };
  }
  return undefined;
}

function storedAt(definition: RepositoryDefinition, path: string): Stored | undefined {
  try {
    const resource = resourceAt(definition, path);
    return resource?.kind === 'artifact' || resource?.kind === 'document' ? resource : undefined;
  } catch {
    // No path of clients.
    return undefined;
  }
}
