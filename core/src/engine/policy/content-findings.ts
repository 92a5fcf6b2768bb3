import { createHash } from 'node:crypto';
import { Lru } from '../../formats/lru.js';
import { packageUrl, type PackageCoordinates } from '../../api/coordinates.js';
import type { Entry } from '../../api/entry-index.js';
import type { Logger } from '../../api/logger.js';
import type { ContentFinding, ScanDesk } from '../../api/scan-desk.js';

/** The number of findings that are kept in memory, over all names. */
const MAX_FINDINGS = 50_000;
const MAX_MARKS = 50_000;
/** Findings of more versions are not named. */
const MAX_NAMED = 1_000;

type Name = Pick<PackageCoordinates, 'ecosystem' | 'name'>;

/** Findings of content scans, by package URL. */
export type FindingsByVersion = ReadonlyMap<string, readonly ContentFinding[]>;

const NONE: FindingsByVersion = new Map();

/**
 * Findings of scans in the contents of one repository, for lists and sidecars, which are judged without the bytes of the
 * artifact.
 */
export class ContentFindings {
  readonly #repository: string;
  readonly #desk: ScanDesk | undefined;
  readonly #logger: Logger;
  readonly #known = new Lru<{ readonly mark: string; readonly found: FindingsByVersion }>(
    MAX_FINDINGS,
    ({ found }) => found.size + 1,
  );
  /** The number of times that bytes of a name were refused for the first time. */
  readonly #refusals = new Lru<number>(MAX_MARKS);
  readonly #refused = new WeakSet<Entry>();
  #allRefusals = 0;

  constructor(repository: string, desk: ScanDesk | undefined, logger: Logger) {
    this.#repository = repository;
    this.#desk = desk;
    this.#logger = logger;
  }

  /** Changes whenever what `of` gives for this name could; of any name without one. */
  mark(name?: Name): string {
    if (this.#desk?.contents === undefined) return '';
    const refusals = name === undefined ? this.#allRefusals : (this.#refusals.get(keyOf(name)) ?? 0);
    return `${this.#desk.mark?.(name) ?? 0}.${refusals}`;
  }

  /** Names what `of` gives by words that are the same in all processes. `undefined`: there is too much of it. */
  async name(name?: Name): Promise<string | undefined> {
    const found = await this.of(name);
    if (found.size === 0) return '';
    if (found.size > MAX_NAMED) return undefined;
    return createHash('sha256')
      .update(JSON.stringify([...found]))
      .digest('base64url');
  }

  /** Notes that the bytes of `entry` were refused: they may be new to this repository, though not to the scanners. */
  refused(entry: Entry): void {
    if (entry.coordinates === undefined || this.#refused.has(entry)) return;
    this.#refused.add(entry);
    const key = keyOf(entry.coordinates);
    this.#refusals.set(key, (this.#refusals.get(key) ?? 0) + 1);
    this.#allRefusals += 1;
  }

  /**
   * Reads the findings against the versions of a name; without one, of all names. While the index cannot be read: those in
   * memory.
   */
  async of(name?: Name): Promise<FindingsByVersion> {
    if (this.#desk?.contents === undefined) return NONE;
    const key = keyOf(name);
    const mark = this.mark(name);
    const known = this.#known.get(key);
    if (known?.mark === mark) return known.found;
    try {
      const found = new Map<string, ContentFinding[]>();
      for (const finding of await this.#desk.contents(this.#repository, name)) {
        const version = packageUrl(finding.coordinates);
        found.set(version, [...(found.get(version) ?? []), finding]);
      }
      this.#known.set(key, { mark, found });
      return found;
    } catch (error) {
      this.#logger.warn({ error, repository: this.#repository, name: key }, 'scan findings cannot be read');
      return known?.found ?? NONE;
    }
  }
}

function keyOf(name: Name | undefined): string {
  return name === undefined ? '' : `${name.ecosystem}/${name.name}`;
}
