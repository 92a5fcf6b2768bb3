import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Enrichment } from './advisories.js';
import type { Downloads } from './download.js';
import { type EnrichmentSources, type ListContent, NO_LISTS, readLists } from './enrichment.js';

/** The lists of exploitation in use. */
export class ListKeeper implements Enrichment {
  readonly #sources: EnrichmentSources;
  readonly #downloads: Downloads;
  #lists: ListContent = NO_LISTS;
  /** The version of the files when they were read. */
  #looks: string | undefined;
  #revision = '';

  constructor(sources: EnrichmentSources, downloads: Downloads) {
    this.#sources = sources;
    this.#downloads = downloads;
  }

  isExploited(id: string): boolean {
    return this.#lists.isExploited(id);
  }

  epss(id: string): number | undefined {
    return this.#lists.epss(id);
  }

  /** Changes with the lists. Empty when there are none. */
  revision(): string {
    return this.#revision;
  }

  /**
   * Reads the lists again.
   * @returns whether they have changed
   * @throws EntrepotError when one cannot be read; those in use stay
   */
  async update(signal: AbortSignal): Promise<boolean> {
    const staging = await mkdtemp(join(tmpdir(), 'entrepot-lists-'));
    try {
      const read = await readLists(this.#sources, this.#downloads, staging, this.#looks, signal);
      if (read === undefined) return false;
      this.#lists = read.lists;
      this.#looks = read.looks;
      this.#revision = `+${createHash('sha256').update(read.looks).digest('hex').slice(0, 8)}`;
      return true;
    } finally {
      await rm(staging, { recursive: true, force: true });
    }
  }
}
