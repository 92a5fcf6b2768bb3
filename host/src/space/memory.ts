import type { RepositoryEngine, SharedStorage } from '@entrepot/core/engine';
import type { NamedBlob } from '../drivers/sql/selected-entries.js';
import type { Selector } from './selector.js';

/** Repositories by name. */
export type Engines = ReadonlyMap<
  string,
  Pick<RepositoryEngine, 'forget' | 'cleanup' | 'roots'> & Partial<Pick<RepositoryEngine, 'heal'>>
>;

/** Everything that this process has of repositories and entries in memory, which has to be forgotten when they are gone. */
export class Memory {
  #storage: SharedStorage | undefined;
  #engines: Engines = new Map();

  attach(storage: SharedStorage): void {
    this.#storage = storage;
  }

  /** Takes the repositories by name; they may come later. */
  attachEngines(engines: Engines): void {
    this.#engines = engines;
  }

  get blobs(): SharedStorage['blobs'] | undefined {
    return this.#storage?.blobs;
  }

  /** Where entries are changed so that memory knows. @throws Error before it is attached */
  get entries(): SharedStorage['entries'] {
    if (this.#storage === undefined) throw new Error('the storage is not open yet');
    return this.#storage.entries;
  }

  /** The repository of that name. `undefined`: it is not served. */
  engine(repository: string): ReturnType<Engines['get']> {
    return this.#engines.get(repository);
  }

  /** The removal of versions from a hosted repository. `undefined`: its format has none, or it is not served. */
  cleanupOf(repository: string): RepositoryEngine['cleanup'] {
    return this.#engines.get(repository)?.cleanup;
  }

  /** Forgets entries that are gone. */
  forget(entries: readonly NamedBlob[]): void {
    for (const { repository, key, digest } of entries) {
      this.#storage?.entries.forget(repository, key);
      this.#storage?.entries.keys.changed(repository, key);
      this.#storage?.blobs.forget(digest);
    }
  }

  /** Forgets what is known of what `selector` takes and is no entry. */
  async forgetBeside({ repository, keys, takes }: Selector): Promise<void> {
    for (const [name, engine] of this.#engines) {
      if (repository !== undefined && repository !== name) continue;
      await engine.forget({
        keys,
        takes: (resource) => takes({ repository: name, key: resource.key, coordinates: resource.coordinates }),
      });
    }
  }

  /** Forgets all of it: others have purged, who knows what. */
  async forgetAll(): Promise<void> {
    this.#storage?.entries.forgetAll();
    for (const engine of this.#engines.values()) await engine.forget();
  }
}
