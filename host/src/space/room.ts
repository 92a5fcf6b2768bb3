import type { BlobCatalogue, BlobHold, BlobInfo, Clock, Digest, Logger } from '@entrepot/core';
import { EntrepotError } from '@entrepot/core';
import { Limiter } from '@entrepot/core/formats';
import type { SqlBlobCatalogue } from '../drivers/sql/blob-catalogue.js';
import { ALL_BLOBS, type SqlEvictionStore } from '../drivers/sql/eviction-store.js';
import type { Evictor } from './evictor.js';
import type { FreeSpace } from './free-space.js';
import { noRoom, type Quota, quotaExceeded, type Scope } from './quotas.js';

/** The part of a bound that is left once it was reached, so that room is made in batches. */
const LOW_MARK = 0.9;
/** The time for which nothing is tried after no room could be made: at the least and at the most, in milliseconds. */
const FULL_FOR = { least: 10_000, most: 300_000 };
/** The same, as a multiple of how long it took to find out: everything was looked at in vain, and nothing else is to wait for that again. */
const FULL_FACTOR = 20;

/** The longest wait for blobs that are being stored, where nothing else may go; milliseconds. */
const PATIENCE = 2_000;

export interface RoomOptions {
  /** The bound on all blobs, in bytes; `Infinity`: none. */
  readonly maxBytes: number;
  readonly quotas: ReadonlyMap<string, Quota>;
  /** Absent: the free space of the volume is not known, or none is reserved. */
  readonly freeSpace?: FreeSpace | undefined;
  /** Blobs above this size are on the volume already, and get a second name. Bytes; `Infinity`: none. */
  readonly linkedAbove: number;
  readonly observer?: RoomObserver | undefined;
}

/** Told when no room can be made: in the whole store, on its volume, in a repository, or in those of a project. */
export interface RoomObserver {
  roomLacks(
    scope: 'store' | 'volume' | 'repository' | 'project',
    repository: string | undefined,
    facts: Readonly<Record<string, unknown>>,
  ): void;
}

/** Milliseconds within which it is told once that room is missing in a scope. */
const TOLD_EVERY = 600_000;

/** Keeps blobs within their bounds: before one is put, room is made for it. */
export class Room implements BlobCatalogue {
  readonly #catalogue: SqlBlobCatalogue;
  readonly #store: SqlEvictionStore;
  readonly #evictor: Evictor;
  readonly #options: RoomOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  /** Room is made by one at a time. */
  readonly #turns = new Limiter(1);
  /** Bytes that were let in since the start, and those of them that the database counts since, or that never came; by scope. */
  readonly #admitted = new Map<string, number>();
  readonly #settled = new Map<string, number>();
  /** Blobs that repositories and projects do not count before their entries have been put, by their holds. */
  readonly #unnamed = new Map<string, { readonly scopes: readonly string[]; readonly size: number }>();
  /** The number of blobs that are being stored. */
  #held = 0;
  /** Resolves when one of them is, for who waits for that. */
  #released: PromiseWithResolvers<void> | undefined;
  /** Until when nothing is tried in a scope where no room could be made, on the monotonic clock. */
  readonly #fullUntil = new Map<string, number>();
  /** Time at which somebody was last told that room is missing in a scope, on the monotonic clock. */
  readonly #toldAt = new Map<string, number>();

  constructor(
    catalogue: SqlBlobCatalogue,
    store: SqlEvictionStore,
    evictor: Evictor,
    options: RoomOptions,
    clock: Clock,
    logger: Logger,
  ) {
    this.#catalogue = catalogue;
    this.#store = store;
    this.#evictor = evictor;
    this.#options = options;
    this.#clock = clock;
    this.#logger = logger;
  }

  get holdTime(): number {
    return this.#catalogue.holdTime;
  }

  /** The scopes that have no room although everything went that may go. */
  get full(): readonly string[] {
    return [...this.#fullUntil.keys()].filter((name) => this.#isFull(name));
  }

  /** Whether room can be made only when something is stored that is on its way. */
  get waiting(): boolean {
    return this.#released !== undefined;
  }

  async hold(repository: string, blob: BlobInfo): Promise<BlobHold> {
    const { size } = blob;
    const admitted = new Set<string>();
    try {
      for (const scope of this.#scopesOf(repository)) {
        if (await this.#admit(scope, repository, blob)) admitted.add(scope.name);
      }
      await this.#leaveReserve(size > this.#options.linkedAbove ? 0 : size);
      const hold = await this.#catalogue.hold(repository, blob);
      this.#held += 1;
      // One that was there when it was let in, and is counted only now, since it was deleted meanwhile.
      if (hold.isNew && !admitted.has(ALL_BLOBS)) await this.#returnBelow(ALL_BLOBS);
      const scopes = [...admitted].filter((name) => name !== ALL_BLOBS);
      for (const name of scopes) admitted.delete(name);
      if (scopes.length > 0) this.#unnamed.set(hold.id, { scopes, size });
      return hold;
    } finally {
      for (const name of admitted) add(this.#settled, name, size);
    }
  }

  release(hold: BlobHold): void {
    const unnamed = this.#unnamed.get(hold.id);
    this.#unnamed.delete(hold.id);
    for (const name of unnamed?.scopes ?? []) add(this.#settled, name, unnamed?.size ?? 0);
    this.#catalogue.release(hold);
    this.#held -= 1;
    this.#released?.resolve();
  }

  visited(digests: readonly Digest[]): Promise<void> {
    return this.#catalogue.visited(digests);
  }

  damaged(digest: Digest): Promise<void> {
    return this.#catalogue.damaged(digest);
  }

  /** Brings a scope below its bound, where it is above. */
  async #returnBelow(name: string): Promise<void> {
    const scope = this.#scope(name);
    if (scope === undefined || (await this.#bytesOf(name)) <= scope.bound) return;
    const end = await this.#turns.acquire();
    try {
      await this.#shrink(scope, scope.bound * LOW_MARK);
    } finally {
      end();
    }
  }

  /** Brings every scope below its bound: others may have put what is too much, or the bound has changed. */
  async enforce(): Promise<void> {
    const names = [ALL_BLOBS, ...this.#options.quotas.keys()];
    for (const name of names) {
      const scope = this.#scope(name);
      if (scope === undefined || !this.#canShrink(name)) continue;
      if (this.#isFull(name) || (await this.#bytesOf(name)) <= scope.bound) continue;
      const since = this.#clock.monotonic();
      await this.#shrink(scope, scope.bound * LOW_MARK);
      const bytes = await this.#bytesOf(name);
      if (bytes > scope.bound) this.#noteFull(name, since, { bytes, bound: scope.bound });
    }
    await this.#leaveReserve(0).catch(() => {});
  }

  #scopesOf(repository: string): readonly Scope[] {
    const projects = [...this.#options.quotas]
      .filter(([, { members }]) => members?.some(({ name }) => name === repository) === true)
      .map(([name]) => name);
    return [ALL_BLOBS, repository, ...projects].flatMap((name) => this.#scope(name) ?? []);
  }

  #scope(name: string): Scope | undefined {
    const bound = name === ALL_BLOBS ? this.#options.maxBytes : (this.#options.quotas.get(name)?.bytes ?? Infinity);
    return bound === Infinity ? undefined : { name, bound };
  }

  /**
   * Lets a blob into a scope, where room is made for it if need be.
   * @returns whether it is counted: it is not where the scope is full and has it already
   */
  async #admit(scope: Scope, repository: string, { digest, size }: BlobInfo): Promise<boolean> {
    if (await this.#fits(scope, size)) return true;
    if (await this.#store.has(scope.name === ALL_BLOBS ? ALL_BLOBS : repository, digest)) return false;
    const refusal = () => (this.#isUpload(scope, repository) ? quotaExceeded(scope, size) : noRoom(scope, size));
    if (!this.#canShrink(scope.name) || size > scope.bound || this.#isFull(scope.name)) {
      this.#tell(scope.name, { bytes: size, bound: scope.bound });
      throw refusal();
    }
    const end = await this.#turns.acquire();
    try {
      // Whoever was before may have made enough.
      if (await this.#fits(scope, size)) return true;
      const since = this.#clock.monotonic();
      const deadline = performance.now() + PATIENCE;
      do {
        const coming = read(this.#admitted, scope.name) - read(this.#settled, scope.name);
        await this.#shrink(scope, scope.bound * LOW_MARK - size - coming);
        if (await this.#fits(scope, size)) return true;
      } while (await this.#nextRelease(deadline));
      this.#noteFull(scope.name, since, { bytes: size, bound: scope.bound });
      throw refusal();
    } finally {
      end();
    }
  }

  /** Waits until one of the blobs is stored that are being stored. @returns whether one was before `deadline`, by `performance.now()` */
  async #nextRelease(deadline: number): Promise<boolean> {
    const left = deadline - performance.now();
    if (this.#held === 0 || left <= 0) return false;
    const released = (this.#released = Promise.withResolvers<void>());
    const timer = setTimeout(released.resolve, left);
    await released.promise;
    clearTimeout(timer);
    this.#released = undefined;
    return performance.now() < deadline;
  }

  async #shrink(scope: Scope, target: number): Promise<void> {
    // Blobs that were just put are no longer held.
    await this.#catalogue.flush();
    const { members } = this.#options.quotas.get(scope.name) ?? {};
    if (members === undefined) return void (await this.#evictor.shrink(scope, Math.max(0, target)));
    const proxies = members.filter(({ kind }) => kind === 'proxy');
    const sizes = await Promise.all(proxies.map(async ({ name }) => ({ name, bytes: await this.#bytesOf(name) })));
    // The largest first: the others of a project are to feel it last.
    for (const { name, bytes } of sizes.sort((one, other) => other.bytes - one.bytes)) {
      const over = (await this.#bytesOf(scope.name)) - Math.max(0, target);
      if (over <= 0) return;
      await this.#evictor.shrink({ name, bound: bytes }, Math.max(0, bytes - over));
    }
  }

  /** Whether something in a scope may go, but for what is pinned and the like. */
  #canShrink(name: string): boolean {
    const quota = this.#options.quotas.get(name);
    return quota?.members?.some(({ kind }) => kind === 'proxy') ?? quota?.kind !== 'hosted';
  }

  /** Whether what does not fit into a scope is an upload, whose client has to be told. */
  #isUpload({ name }: Scope, repository: string): boolean {
    const { kind, members = [] } = this.#options.quotas.get(name) ?? {};
    return kind === 'hosted' || members.some((one) => one.name === repository && one.kind === 'hosted');
  }

  /** The bytes of a scope: of all blobs, of a repository, or of those of a project together. */
  async #bytesOf(name: string): Promise<number> {
    const { members } = this.#options.quotas.get(name) ?? {};
    if (members === undefined) return await this.#store.bytesOf(name);
    const usage = await this.#store.usage();
    return members.reduce((sum, one) => sum + (usage.get(one.name)?.bytes ?? 0), 0);
  }

  /** Whether `size` bytes fit in; if so, they are let in at once: of puts that come together, each has to see those before it. */
  async #fits({ name, bound }: Scope, size: number): Promise<boolean> {
    // As it was before the usage is read: what settles meanwhile may be missing there.
    const settled = read(this.#settled, name);
    const bytes = await this.#bytesOf(name);
    if (bytes + read(this.#admitted, name) - settled + size > bound) return false;
    add(this.#admitted, name, size);
    return true;
  }

  /** Makes room where the volume has less than its reserve besides `size` bytes. */
  async #leaveReserve(size: number): Promise<void> {
    const { freeSpace } = this.#options;
    if (freeSpace === undefined) return;
    let lacking = await freeSpace.take(size);
    if (lacking > 0 && !this.#isFull(VOLUME)) {
      const end = await this.#turns.acquire();
      try {
        lacking = await freeSpace.take(size);
        if (lacking > 0) {
          const since = this.#clock.monotonic();
          const bytes = await this.#store.bytesOf(ALL_BLOBS);
          await this.#shrink({ name: ALL_BLOBS, bound: bytes }, bytes - lacking);
          lacking = await freeSpace.take(size, 'anew');
          if (lacking > 0) this.#noteFull(VOLUME, since, { lacking });
        }
      } finally {
        end();
      }
    }
    if (lacking > 0)
      throw new EntrepotError(
        'storage',
        `the volume of the blobs has no room for ${size} bytes beside its reserve (storage.reserve), and nothing more can be evicted`,
        { status: 507, code: 'NO_ROOM' },
      );
  }

  #isFull(name: string): boolean {
    return this.#clock.monotonic() < (this.#fullUntil.get(name) ?? -Infinity);
  }

  /** Tells of room that is missing, once in a while. */
  #tell(name: string, facts: Readonly<Record<string, unknown>>): void {
    const now = this.#clock.monotonic();
    if (now - (this.#toldAt.get(name) ?? -Infinity) < TOLD_EVERY) return;
    this.#toldAt.set(name, now);
    const { observer } = this.#options;
    if (name === ALL_BLOBS) observer?.roomLacks('store', undefined, facts);
    else if (name === VOLUME) observer?.roomLacks('volume', undefined, facts);
    else if (this.#options.quotas.get(name)?.kind === 'project')
      observer?.roomLacks('project', undefined, { name, ...facts });
    else observer?.roomLacks('repository', name, facts);
  }

  /** @param since when it was begun to make room, on the monotonic clock */
  #noteFull(name: string, since: number, facts: Readonly<Record<string, unknown>>): void {
    const isNews = !this.#fullUntil.has(name);
    const now = this.#clock.monotonic();
    const pause = Math.min(FULL_FOR.most, Math.max(FULL_FOR.least, (now - since) * FULL_FACTOR));
    this.#fullUntil.set(name, now + pause);
    this.#tell(name, facts);
    if (!isNews) return;
    const where = name === ALL_BLOBS ? 'the store' : name;
    this.#logger.warn(
      { where, ...facts },
      'no room can be made: what is left is hosted, pinned, or just being stored; new bytes are passed through and not kept',
    );
  }
}

/** Names the free space of the volume among scopes. No repository has such a name. */
export const VOLUME = '-/volume';

function read(sums: ReadonlyMap<string, number>, name: string): number {
  return sums.get(name) ?? 0;
}

function add(sums: Map<string, number>, name: string, bytes: number): void {
  sums.set(name, read(sums, name) + bytes);
}
