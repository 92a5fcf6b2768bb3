import { join } from 'node:path';
import { EntrepotError } from '@entrepot/core';
import { forEachLimited } from '@entrepot/core/formats';
import { type Downloads, linesOf, urlBelow } from './download.js';
import type { DumpFile, DumpSource, KnownState, Origin, SourceChanges } from './dump-source.js';
import { traitsOf } from './ecosystems.js';
import { RECORD_ID } from './osv-record.js';

/** Lists of changes are not strictly in order: so far back they are read again, in milliseconds. */
const OVERLAP = 5 * 60_000;
/** When more records changed, the whole dump is the smaller download. */
const MOST_RECORDS = 2000;
/** Single records that are fetched at a time. */
const FETCHES = 8;
const LARGEST_DUMP = 16 * 1024 ** 3;
const LARGEST_RECORD = 64 * 1024 ** 2;

/**
 * The public dumps, or a mirror of them: `<ECOSYSTEM>/all.zip` with everything, `<ECOSYSTEM>/modified_id.csv` with what changed
 * when (`<time>,<id>`, newest first), `<ECOSYSTEM>/<ID>.json`, and `ecosystems.txt`.
 */
export class MirrorSource implements DumpSource {
  readonly #base: URL;
  readonly #downloads: Downloads;
  readonly #wanted: readonly string[] | undefined;

  /** @param ecosystems OSV names; `undefined`: all that have a package URL type */
  constructor(base: URL, downloads: Downloads, ecosystems: readonly string[] | undefined) {
    this.#base = base;
    this.#downloads = downloads;
    this.#wanted = ecosystems;
  }

  async changes(known: KnownState, staging: string, signal: AbortSignal): Promise<SourceChanges> {
    const ecosystems = this.#wanted ?? (await this.#ecosystems(signal));
    const cursors = known.origin ?? {};
    const isKnown = Object.keys(cursors).length === ecosystems.length && ecosystems.every((name) => name in cursors);
    if (!isKnown || known.isFullDue) return this.#full(ecosystems, staging, signal);
    const origin: Record<string, string> = {};
    const records = new Map<string, string>();
    for (const ecosystem of ecosystems) {
      const { newest, ids } = await this.#modified(ecosystem, cursors[ecosystem] as string, known, signal);
      origin[ecosystem] = newest;
      for (const id of ids) records.set(id, ecosystem);
      if (records.size > MOST_RECORDS) return this.#full(ecosystems, staging, signal);
    }
    if (records.size === 0) return { kind: 'none', origin, date: dateOf(origin) };
    const fetched = await this.#records(records, staging, signal);
    return { kind: 'delta', ...fetched, origin, date: dateOf(origin) };
  }

  /** Names of the list that mean something here, without releases. */
  async #ecosystems(signal: AbortSignal): Promise<string[]> {
    const names = new Set<string>();
    const body = await this.#downloads.open(urlBelow(this.#base, 'ecosystems.txt'), signal);
    for await (const line of linesOf(body)) {
      const name = line.trim();
      if (!name.includes(':') && traitsOf(name) !== undefined) names.add(name);
    }
    if (names.size === 0) throw new EntrepotError('upstream-unavailable', 'ecosystems.txt: expected names, found none');
    return [...names].sort();
  }

  async #full(ecosystems: readonly string[], staging: string, signal: AbortSignal): Promise<SourceChanges> {
    const dumps: DumpFile[] = [];
    const origin: Record<string, string> = {};
    for (const [number, ecosystem] of ecosystems.entries()) {
      // Read before the dump: what changes between the two is read again.
      origin[ecosystem] = await this.#newest(ecosystem, signal);
      const path = join(staging, `${number}.zip`);
      await this.#downloads.save(urlBelow(this.#base, ecosystem, 'all.zip'), path, signal, LARGEST_DUMP);
      dumps.push({ ecosystem, path });
    }
    return { kind: 'full', dumps, origin, date: dateOf(origin) };
  }

  async #newest(ecosystem: string, signal: AbortSignal): Promise<string> {
    for await (const [time] of this.#lines(ecosystem, signal)) return time;
    return '';
  }

  /** Ids that changed since `cursor`, and the newest time of the list. */
  async #modified(
    ecosystem: string,
    cursor: string,
    known: KnownState,
    signal: AbortSignal,
  ): Promise<{ newest: string; ids: string[] }> {
    const since = (Date.parse(cursor) || 0) - OVERLAP;
    const ids: string[] = [];
    let newest = '';
    for await (const [time, id] of this.#lines(ecosystem, signal)) {
      if (newest === '') newest = time;
      if (Date.parse(time) < since || ids.length > MOST_RECORDS) break;
      if (Date.parse(known.modified(id) ?? '') !== Date.parse(time)) ids.push(id);
    }
    return { newest: newest === '' ? cursor : newest, ids };
  }

  async *#lines(ecosystem: string, signal: AbortSignal): AsyncGenerator<[time: string, id: string]> {
    const body = await this.#downloads.open(urlBelow(this.#base, ecosystem, 'modified_id.csv'), signal);
    try {
      for await (const line of linesOf(body)) {
        const [time = '', id = ''] = line.trim().split(',');
        // A list of several ecosystems has `<ECOSYSTEM>/<ID>`.
        const name = id.slice(id.lastIndexOf('/') + 1);
        if (!Number.isNaN(Date.parse(time)) && RECORD_ID.test(name)) yield [time, name];
      }
    } finally {
      body.destroy();
    }
  }

  async #records(
    records: ReadonlyMap<string, string>,
    staging: string,
    signal: AbortSignal,
  ): Promise<{ changed: string[]; removed: string[] }> {
    const changed: string[] = [];
    const removed: string[] = [];
    let number = 0;
    await forEachLimited([...records], FETCHES, async ([id, ecosystem]) => {
      const path = join(staging, `${(number += 1)}.json`);
      try {
        await this.#downloads.save(urlBelow(this.#base, ecosystem, `${id}.json`), path, signal, LARGEST_RECORD);
        changed.push(path);
      } catch (error) {
        if (!(error instanceof EntrepotError) || error.code !== 'UPSTREAM_STATUS_404') throw error;
        removed.push(id);
      }
    });
    return { changed: changed.sort(), removed: removed.sort() };
  }
}

/** When the last record of any ecosystem changed: the lists go on every day, so a mirror that stands still is seen by it. */
function dateOf(cursors: Origin): number {
  return Math.max(0, ...Object.values(cursors).map((time) => Date.parse(time) || 0));
}
