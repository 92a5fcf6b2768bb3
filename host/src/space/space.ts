import type { BlobStore, Clock, Logger } from '@entrepot/core';
import type { SharedStorage } from '@entrepot/core/engine';
import { SqlBlobCatalogue } from '../drivers/sql/blob-catalogue.js';
import { SqlBlobInventory } from '../drivers/sql/blob-inventory.js';
import { SqlCollectionStore } from '../drivers/sql/collection-store.js';
import { ALL_BLOBS, SqlEvictionStore } from '../drivers/sql/eviction-store.js';
import { SqlLeases } from '../drivers/sql/leases.js';
import { SqlPinStore } from '../drivers/sql/pin-store.js';
import { SqlSelectedEntries } from '../drivers/sql/selected-entries.js';
import type { SqlDatabase } from '../drivers/sql/sql-database.js';
import { SqlUsageReport } from '../drivers/sql/usage-report.js';
import { SqlVerificationStore } from '../drivers/sql/verification-store.js';
import { Collection } from './collection.js';
import { type Collected, Collector, type CollectOptions } from './collector.js';
import { type DeletedBecause, Deletion, type DeletionObserver } from './deletion.js';
import { Evictor } from './evictor.js';
import { FreeSpace } from './free-space.js';
import type { Heal } from './healer.js';
import { HeldKeys } from './held-keys.js';
import { type Engines, Memory } from './memory.js';
import { Pins } from './pins.js';
import { Purger } from './purger.js';
import { Purging } from './purging.js';
import { type BoundedRepository, type Quota, quotasOf } from './quotas.js';
import { Room, type RoomObserver } from './room.js';
import { SpaceUsage } from './space-usage.js';
import { type BackgroundOptions, Verification } from './verification.js';
import type { VerificationObserver } from './verifier.js';

/** The interval at which ended holds are removed, so that others can evict what they held; milliseconds. */
const RELEASE_INTERVAL = 1_000;
/** The first collection comes this long after a start at the latest: a server that is restarted every day collects too. Milliseconds. */
const FIRST_COLLECTION = 300_000;
/** The interval at which bounds are enforced, in milliseconds. */
const ENFORCE_INTERVAL = 10_000;
/** The interval at which it is looked whether blobs are to be verified, in milliseconds. */
const VERIFY_INTERVAL = 60_000;

export interface SpaceOptions {
  readonly database: SqlDatabase;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The bound on all blobs, in bytes; `Infinity`: none. */
  readonly maxBytes: number;
  /** Bytes of the volume that stay free. */
  readonly reserve: number;
  /** Blobs above this size were spooled on their volume, and take no more room there. Bytes; `Infinity`: none. */
  readonly linkedAbove: number;
  readonly gc: { readonly interval: number; readonly grace: number; readonly batchSize: number };
  readonly verify: BackgroundOptions;
  /** Every repository of the configuration. */
  readonly repositories: ReadonlyMap<string, BoundedRepository>;
  /** Absent: no repository is served here. */
  readonly heal?: Heal | undefined;
  readonly observer?: SpaceObserver | undefined;
  /** Told of each collection in the background. */
  readonly onCollected?: ((report: Collected) => void) | undefined;
}

/** Told of what becomes of blobs, and of room that is missing. */
export type SpaceObserver = VerificationObserver & DeletionObserver & RoomObserver;

/** The room that everything takes: bounds, eviction, collection. */
export class Space {
  /** For the engine: lets blobs in where there is room for them. */
  readonly room: Room;
  readonly pinStore: SqlPinStore;
  readonly pins: Pins;
  readonly usage: SqlEvictionStore;
  readonly report: SpaceUsage;
  readonly entryUsage: SqlUsageReport;
  readonly leases: SqlLeases;
  readonly verification: Verification;
  readonly collection: Collection;
  readonly purging: Purging;
  readonly #catalogue: SqlBlobCatalogue;
  readonly #collector: Collector;
  readonly #freeSpace: FreeSpace | undefined;
  readonly #memory = new Memory();
  readonly #options: SpaceOptions;
  readonly #repositories = new Map<string, BoundedRepository>();
  readonly #quotas = new Map<string, Quota>();
  readonly #ending = new AbortController();
  readonly #timers: NodeJS.Timeout[] = [];
  #running: Promise<unknown> = Promise.resolve();

  constructor(options: SpaceOptions) {
    const { database, blobs, clock, logger } = options;
    const repositories = this.#repositories;
    this.#options = options;
    this.#bound(options.repositories);
    this.usage = new SqlEvictionStore(database);
    this.pinStore = new SqlPinStore(database);
    this.pins = new Pins(this.pinStore, clock);
    this.leases = new SqlLeases(database, clock);
    this.#catalogue = new SqlBlobCatalogue(database, clock);
    const collection = new SqlCollectionStore(database);
    const { observer } = options;
    const deletion = (why: DeletedBecause): Deletion =>
      new Deletion(collection, blobs, clock, logger, (deleted) => observer?.blobsDeleted(why, deleted));
    const memory = this.#memory;
    const held = new HeldKeys(memory, clock, logger);
    const kept = {
      pins: this.pins,
      isProxy: (name: string): boolean | undefined => {
        const repository = repositories.get(name);
        return repository && repository.kind === 'proxy';
      },
      heldKeys: (name: string): Promise<ReadonlySet<string>> => held.of(name),
    };
    const evictor = new Evictor(this.usage, deletion('evicted'), kept, clock, (entries) => memory.forget(entries));
    const read = blobs.freeBytes?.bind(blobs);
    if (read !== undefined && options.reserve > 0) this.#freeSpace = new FreeSpace(read, options.reserve, clock);
    const bounds = { ...options, quotas: this.#quotas, freeSpace: this.#freeSpace };
    this.room = new Room(this.#catalogue, this.usage, evictor, bounds, clock, logger);
    this.report = new SpaceUsage(this.usage, this.room, { ...options, repositories });
    this.entryUsage = new SqlUsageReport(database);
    const inventory = new SqlBlobInventory(database, blobs);
    this.#collector = new Collector({
      store: collection,
      inventory,
      deletion: deletion('collected'),
      blobs,
      clock,
      logger,
    });
    const entries = new SqlSelectedEntries(database);
    const purged = { entries, collection, deletion: deletion('purged'), kept, memory, clock };
    this.purging = new Purging({
      ...options,
      purger: new Purger(purged),
      memory,
      isProxy: kept.isProxy,
      release: () => this.#catalogue.flush(),
    });
    const collect = (asked: Partial<CollectOptions>): Promise<Collected> => this.collect(asked);
    this.collection = new Collection({ leases: this.leases, clock, logger, collect, onCollected: options.onCollected });
    this.verification = new Verification(
      {
        ...options,
        store: new SqlVerificationStore(database),
        catalogue: this.#catalogue,
        memory: () => memory.blobs,
        isProxy: kept.isProxy,
        total: async () => (await this.usage.usage()).get(ALL_BLOBS) ?? { bytes: 0, amount: 0 },
      },
      this.leases,
      options.verify,
    );
  }

  /** The bytes that the volume of the blobs can take beside its reserve, as was seen a second ago. */
  get freeBytes(): number {
    return this.#freeSpace?.left ?? Infinity;
  }

  /** Takes the memory that has to forget what is deleted. */
  attach(storage: SharedStorage): void {
    this.#memory.attach(storage);
  }

  /**
   * Takes the repositories of a configuration, in place of those before.
   * @param engines have to forget what is purged; they may come later
   */
  serve(repositories: SpaceOptions['repositories'], engines: Engines): void {
    this.#bound(repositories);
    this.#memory.attachEngines(engines);
  }

  /** The repository of that name. `undefined`: it is not served. */
  engine(repository: string): ReturnType<Engines['get']> {
    return this.#memory.engine(repository);
  }

  #bound(repositories: SpaceOptions['repositories']): void {
    this.#repositories.clear();
    this.#quotas.clear();
    for (const [name, one] of repositories) this.#repositories.set(name, one);
    for (const [name, quota] of quotasOf(repositories)) this.#quotas.set(name, quota);
  }

  /** Deletes what nobody needs. */
  async collect(options: Partial<CollectOptions> = {}): Promise<Collected> {
    await this.#catalogue.flush();
    const report = await this.#collector.run({ ...this.#options.gc, ...options });
    if (options.dryRun !== true) this.#options.observer?.unfinishedRemoved(report.unfinished);
    return report;
  }

  /** Begins to work in the background. */
  start(): void {
    const { gc, verify } = this.#options;
    const { interval } = gc;
    this.#every(RELEASE_INTERVAL, 'ended holds could not be removed', () => this.#catalogue.flush());
    this.#every(RELEASE_INTERVAL, 'the free space is not known', async () => void (await this.#freeSpace?.take(0)));
    this.#every(ENFORCE_INTERVAL, 'bounds could not be enforced', () => this.room.enforce());
    if (interval > 0)
      this.#every(interval, 'blobs could not be collected', () => this.collection.tick(), FIRST_COLLECTION);
    if (verify.rate > 0) this.#every(VERIFY_INTERVAL, 'blobs could not be verified', () => this.verification.tick());
  }

  /**
   * Does `work` again and again, one at a time.
   * @param first the longest time until it is done first, in milliseconds
   */
  #every(interval: number, complaint: string, work: () => Promise<void>, first = Infinity): void {
    let isBusy = false;
    const run = async (): Promise<void> => {
      if (isBusy || this.#ending.signal.aborted) return;
      isBusy = true;
      try {
        await work();
      } catch (error) {
        if (!this.#ending.signal.aborted) this.#options.logger.warn({ error }, complaint);
      } finally {
        isBusy = false;
      }
    };
    const begin = (): void => {
      this.#running = Promise.all([this.#running, run()]);
    };
    if (first < interval) this.#timers.push(setTimeout(begin, first).unref());
    this.#timers.push(setInterval(begin, interval).unref());
  }

  /** Ends the work in the background. */
  async dispose(): Promise<void> {
    this.#ending.abort();
    for (const timer of this.#timers) clearInterval(timer);
    await this.#running;
    await Promise.all([this.verification.dispose(), this.collection.dispose(), this.purging.dispose()]);
    await this.#catalogue.flush().catch(() => {});
  }
}
