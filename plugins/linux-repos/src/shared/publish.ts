import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { asEntrepotError, EntrepotError, type ProduceContext, type ProducedFile, type Resource } from '@entrepot/core';
import { dateOf, newestOf } from './age.js';
import { atUpstream, notAsListed, take } from './at-mirrors.js';
import {
  mainOf,
  printGenerations,
  readGenerations,
  withGeneration,
  type Generation,
  type Kept,
} from './generations.js';
import { NO_FILES, type Listing, type Taken } from './format.js';
import type { RepositoryProxy } from './proxy.js';
import { index, indexKey, INDEXES, pointer } from './resources.js';
import { afterFailure, afterSuccess, type Status } from './status.js';

/**
 * Publishes the generation that the mirrors have now: its pointer documents are verified, and the index files that clients use are
 * here before it counts. Where the mirrors fail, the generation that was published last goes on with another state.
 */
export async function publishGeneration(
  { key, attributes }: Resource,
  context: ProduceContext,
  self: RepositoryProxy,
): Promise<readonly ProducedFile[]> {
  const { root, isForced } = attributes as { root: string; isForced: boolean };
  const earlier = context.kept === undefined ? undefined : await readGenerations(context.kept);
  const { status, list } = await refreshed(root, earlier, isForced, context, self);
  const usedAt = Math.max(status.usedAt, self.roots.lastUse(root) ?? 0);
  const path = join(context.folder, 'generations');
  await writeFile(path, printGenerations({ list, status: { ...status, usedAt } }));
  return [{ key, path, mediaType: 'application/json' }];
}

async function refreshed(
  root: string,
  earlier: Kept | undefined,
  isForced: boolean,
  context: ProduceContext,
  self: RepositoryProxy,
): Promise<Kept> {
  const now = self.clock.now();
  if (earlier !== undefined && !isForced && isLeftAlone(earlier.status, now)) return earlier;
  const [last] = earlier?.list ?? [];
  const newest = earlier && newestOf(earlier, root, self.format);
  if (newest === undefined) self.newest.delete(root);
  else self.newest.set(root, newest);
  if (earlier === undefined) self.roots.await(root, now);
  try {
    const added = await within(self.options.refreshTimeout, root, newGeneration(root, last, context, self));
    const list = added === undefined ? (earlier?.list ?? []) : withAdded(earlier?.list ?? [], added, self);
    const status = afterSuccess(earlier?.status, list[0] ?? {}, now);
    self.roots.settle(root);
    self.tell(root, earlier?.status.state ?? 'pending', status);
    return { list, status };
  } catch (error) {
    context.signal.throwIfAborted();
    const failure = asEntrepotError(error, 'plugin', `Refreshing ${root} failed`);
    if (earlier === undefined) {
      if (failure.kind === 'not-found') self.roots.settle(root);
      else self.roots.await(root, now, failure.message);
    }
    // What was never published is not kept, and faults of our own say nothing of mirrors.
    if (earlier === undefined || !OF_MIRRORS.has(failure.kind)) throw failure;
    const status = afterFailure(earlier.status, failure, now, root);
    self.tell(root, earlier.status.state, status);
    return { list: earlier.list, status };
  }
}

/** The kinds of errors that mirrors are at fault for. */
const OF_MIRRORS: ReadonlySet<string> = new Set<EntrepotError['kind']>([
  'not-found',
  'forbidden',
  'bad-request',
  'integrity',
  'upstream-unavailable',
]);

/** Whether it is too early to ask mirrors again although a client does. A clock that was ahead does not count. */
function isLeftAlone({ state, retryAt = 0 }: Status, now: number): boolean {
  return state === 'blocked' && now < retryAt && retryAt - now < LONGEST_WAIT;
}

/** No wait after a failure is longer, in milliseconds. */
const LONGEST_WAIT = 2 * 3_600_000;

/** The time for which generations are found after they were replaced; milliseconds. */
const KEPT_FOR = 86_400_000;

function withAdded(earlier: readonly Generation[], added: Generation, self: RepositoryProxy): readonly Generation[] {
  const { keepGenerations: keep, leaseFor } = self.options;
  // A clock that goes back does not bring one before another.
  const at = Math.max(added.at, (earlier[0]?.at ?? -1) + 1);
  return withGeneration(earlier, { ...added, at }, { keep, since: added.at - Math.max(leaseFor, KEPT_FOR) });
}

/** @throws EntrepotError `upstream-unavailable` for work that takes longer than `limit` milliseconds; it goes on behind */
async function within<Result>(limit: number, root: string, work: Promise<Result>): Promise<Result> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () =>
      late.reject(
        new EntrepotError(
          'upstream-unavailable',
          `refreshing ${root || 'the repository'} took longer than ${limit} ms`,
          {
            status: 504,
            code: 'UPSTREAM_TIMEOUT',
          },
        ),
      ),
    limit,
  );
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
    work.catch(() => {});
  }
}

/** @returns `undefined`: the mirrors have the one that was published last */
async function newGeneration(
  root: string,
  last: Generation | undefined,
  context: ProduceContext,
  self: RepositoryProxy,
): Promise<Generation | undefined> {
  const { format } = self;
  const sums = await self.mirrorLists?.sums(root, context.read);
  const taking = (name: string, signed?: Taken) =>
    signed === undefined
      ? take(self, root, name, context, format.mains(root).includes(name) ? sums : undefined)
      : self.beingSigned.during(root, signed, () => take(self, root, name, context, signed.sha256));
  let first: Taken | undefined;
  for (const name of format.mains(root)) first ??= await taking(name);
  if (first === undefined)
    throw new EntrepotError(
      'not-found',
      `no mirror has ${format.mains(root).join(' or ')} of ${root || 'the repository'}`,
    );
  if (last?.pointers[first.name] === first.sha256) return undefined;
  const listing = format.read === undefined ? NO_FILES : format.read(await first.bytes(), first.name);
  const others = await format.beside(root, first, listing, taking);
  const taken = [first, ...others];
  await fetchWanted(root, last, listing, context, self);
  for (const { name, sha256, of } of taken) await context.read(pointer(root, name, sha256, of));
  const pointers = Object.fromEntries(taken.map(({ name, sha256 }) => [name, sha256]));
  const id = createHash('sha256').update(JSON.stringify(pointers)).digest('hex').slice(0, 16);
  const now = self.clock.now();
  const date = dateOf({ listing, headers: first.headers }, now);
  return { id, at: now, date, validUntil: listing.validUntil, size: first.size, pointers };
}

/** The index files of the new generation that clients used of the last one. */
async function fetchWanted(
  root: string,
  last: Generation | undefined,
  listing: Listing,
  context: ProduceContext,
  self: RepositoryProxy,
): Promise<void> {
  const { format } = self;
  if (last === undefined || format.read === undefined) return;
  const { name, sha256 } = mainOf(format, root, last.pointers);
  const content = await context.read(pointer(root, name, sha256));
  const before = format.read(await content.bytes(format.largestPointer), name);
  const kept = new Set(await context.keys(INDEXES));
  const roleOf = (path: string): string => format.roleOf?.(path) ?? path;
  const wanted = new Map(
    [...before.files]
      .filter(([, { integrity }]) => kept.has(indexKey(integrity)))
      .map(([path, { integrity }]) => [roleOf(path), integrity.hex]),
  );
  for (const [path, file] of listing.files) {
    const hex = wanted.get(roleOf(path));
    if (hex === undefined || hex === file.integrity.hex) continue;
    try {
      await context.read(self.placed(index(format, root, path, file, listing)));
    } catch (error) {
      const age = self.clock.now() - (listing.date ?? 0);
      if (error instanceof EntrepotError && error.kind === 'not-found' && age > SETTLED) continue;
      throw notAsListed(format.pathOf(root, path), error);
    }
  }
}

/** The age of a main document from which on an index that it lists and no mirror has is not waited for; milliseconds. */
const SETTLED = 3_600_000;

/** Keeps a pointer document under its sum: the bytes that were verified, whatever mirrors have by now. */
export async function keepPointer(
  { key, attributes }: Resource,
  context: ProduceContext,
  self: RepositoryProxy,
): Promise<readonly ProducedFile[]> {
  const { root, name, sha256, of } = attributes as { root: string; name: string; sha256: string; of?: string };
  const content = await context.read(atUpstream(self, root, name, { cached: true, of }));
  const path = join(context.folder, 'pointer');
  const hash = createHash('sha256');
  async function* hashed(): AsyncGenerator<Uint8Array> {
    for await (const piece of content.stream()) {
      hash.update(piece);
      yield piece;
    }
  }
  await writeFile(path, hashed(), { signal: context.signal });
  if (hash.digest('hex') !== sha256) throw new EntrepotError('not-found', `${name} of ${root} has been replaced`);
  return [{ key, path, mediaType: self.format.mediaTypeOf(name) }];
}
