import type { BlobStore, Clock } from '@entrepot/core';
import { ALL_BLOBS, type SqlEvictionStore, SMALL_BLOBS, type Usage } from '../drivers/sql/eviction-store.js';
import { type BoundedRepository, projectScope } from './quotas.js';
import { type Room, VOLUME } from './room.js';

/** Usage of one repository. */
export interface RepositoryUsage {
  readonly name: string;
  /** Absent: it is no longer served. */
  readonly kind?: 'proxy' | 'hosted' | undefined;
  readonly entries: number;
  /** Bytes that its entries name: bytes that several of them name count for each. */
  readonly bytes: number;
  /** Bytes. Absent: it has no bound of its own. */
  readonly quota?: number | undefined;
  /** Whether no room can be made in it. */
  readonly isFull: boolean;
}

/** Usage of the repositories of a project together. */
export interface ProjectUsage {
  readonly name: string;
  readonly repositories: readonly string[];
  readonly bytes: number;
  readonly quota: number;
  /** Whether no room can be made in it. */
  readonly isFull: boolean;
}

/** Usage of the store, and how much room there is. */
export interface UsageOverview {
  readonly blobs: number;
  /** Of all blobs, each once. */
  readonly bytes: number;
  /** The bound on all blobs. Absent: there is none. */
  readonly maxBytes?: number | undefined;
  /** Bytes that can still be written to the volume. Absent: that is not known. */
  readonly freeBytes?: number | undefined;
  /** Bytes of the volume that are to stay free. */
  readonly reserve: number;
  /** Whether no room can be made in the store. */
  readonly isFull: boolean;
  /** Whether no room can be made on its volume. */
  readonly isVolumeFull: boolean;
  /** Those that are served, and others of which entries are left; by name. */
  readonly repositories: readonly RepositoryUsage[];
  /** By name. */
  readonly projects: readonly ProjectUsage[];
}

/** How long metrics show the same numbers, and how long they wait for newer ones; milliseconds. */
const REMEMBERED = 5_000;
const PATIENCE = 1_000;

/** The bounds, and what they are on. */
export interface BoundedSpace {
  readonly blobs: Pick<BlobStore, 'freeBytes'>;
  readonly clock: Clock;
  /** The bound on all blobs, in bytes; `Infinity`: none. */
  readonly maxBytes: number;
  /** Bytes of the volume that stay free. */
  readonly reserve: number;
  /** Those that are served. */
  readonly repositories: ReadonlyMap<string, BoundedRepository>;
}

/** Tells what is kept, and how much room there is. */
export class SpaceUsage {
  readonly #store: SqlEvictionStore;
  readonly #room: Pick<Room, 'full'>;
  readonly #options: BoundedSpace;
  readonly #clock: Clock;
  #known: UsageOverview | undefined;
  #readAt = -Infinity;
  #reading: Promise<void> | undefined;

  constructor(store: SqlEvictionStore, room: Pick<Room, 'full'>, options: BoundedSpace) {
    this.#store = store;
    this.#room = room;
    this.#options = options;
    this.#clock = options.clock;
  }

  async overview(): Promise<UsageOverview> {
    const { blobs, maxBytes, reserve, repositories } = this.#options;
    const usage = await this.#store.usage();
    const freeBytes = await blobs.freeBytes?.();
    const all = usage.get(ALL_BLOBS);
    const full = new Set(this.#room.full);
    const left = [...usage].filter(([name, { amount }]) => amount > 0 && name !== ALL_BLOBS && name !== SMALL_BLOBS);
    const names = new Set([...repositories.keys(), ...left.map(([name]) => name)]);
    return {
      blobs: all?.amount ?? 0,
      bytes: all?.bytes ?? 0,
      ...(maxBytes === Infinity ? {} : { maxBytes }),
      ...(freeBytes === undefined ? {} : { freeBytes }),
      reserve,
      isFull: full.has(ALL_BLOBS),
      isVolumeFull: full.has(VOLUME),
      repositories: [...names].sort().map((name) => {
        const { kind, quota } = repositories.get(name) ?? {};
        const { amount = 0, bytes = 0 } = usage.get(name) ?? {};
        return { name, kind, entries: amount, bytes, quota, isFull: full.has(name) };
      }),
      projects: this.#projects(usage, full),
    };
  }

  #projects(usage: ReadonlyMap<string, Usage>, full: ReadonlySet<string>): readonly ProjectUsage[] {
    const projects = new Map<string, ProjectUsage & { repositories: string[]; bytes: number }>();
    for (const [repository, { project }] of this.#options.repositories) {
      if (project === undefined) continue;
      const { name, quota } = project;
      const one = projects.get(name) ?? {
        name,
        repositories: [],
        bytes: 0,
        quota,
        isFull: full.has(projectScope(name)),
      };
      one.repositories.push(repository);
      one.bytes += usage.get(repository)?.bytes ?? 0;
      projects.set(name, one);
    }
    return [...projects.values()].sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  /** The usage of a few seconds ago; an older one while the database does not answer. `undefined`: it has not answered yet. */
  async recent(): Promise<UsageOverview | undefined> {
    const now = this.#clock.monotonic();
    if (now - this.#readAt >= REMEMBERED) {
      this.#reading ??= this.#read(now).finally(() => (this.#reading = undefined));
      await Promise.race([this.#reading, new Promise((resolve) => setTimeout(resolve, PATIENCE).unref())]);
    }
    return this.#known;
  }

  async #read(now: number): Promise<void> {
    try {
      this.#known = await this.overview();
      this.#readAt = now;
    } catch {
      // Readiness tells of it, and the log.
    }
  }
}
