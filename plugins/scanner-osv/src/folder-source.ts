import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { EntrepotError } from '@entrepot/core';
import { purlType } from './ecosystems.js';
import type { DumpSource, KnownState, SourceChanges } from './dump-source.js';
import type { DumpFile, Origin } from './import-task.js';

/**
 * A folder on this machine: `<ECOSYSTEM>/all.zip` as the public dumps have it, and any `.zip` or `.json` beside. A `.zip` that is
 * named after an ecosystem (`npm.zip`) is taken as the whole of it.
 */
export class FolderSource implements DumpSource {
  readonly #path: string;
  readonly #ecosystems: readonly string[] | undefined;

  constructor(path: string, ecosystems: readonly string[] | undefined) {
    this.#path = path;
    this.#ecosystems = ecosystems;
  }

  async changes({ origin: known, isFullDue }: KnownState): Promise<SourceChanges> {
    const dumps = await this.#dumps();
    if (dumps.length === 0) {
      throw unavailable(`${this.#path}: expected <ECOSYSTEM>/all.zip, a .zip or a .json file, found none`);
    }
    const looks: Record<string, string> = {};
    let date = 0;
    for (const { path } of dumps) {
      const { size, mtimeMs } = await stat(path);
      looks[path] = `${size} ${mtimeMs}`;
      date = Math.max(date, mtimeMs);
    }
    const isSame = known !== undefined && !isFullDue && sameOrigin(known, looks);
    return isSame ? { kind: 'none', origin: looks, date } : { kind: 'full', dumps, origin: looks, date };
  }

  async #dumps(): Promise<DumpFile[]> {
    const dumps: DumpFile[] = [];
    for (const entry of await this.#list(this.#path)) {
      const path = join(this.#path, entry.name);
      if (entry.isDirectory()) {
        const files = (await this.#list(path)).filter((file) => file.isFile()).map(({ name }) => name);
        const isEcosystem = purlType(entry.name) !== undefined;
        // The single records beside an archive are in it.
        const wanted = files.includes('all.zip') ? ['all.zip'] : files.filter(isDump);
        for (const name of wanted)
          dumps.push({ ecosystem: isEcosystem ? entry.name : undefined, path: join(path, name) });
      } else if (isDump(entry.name)) {
        const name = basename(entry.name, '.zip');
        const isEcosystem = name !== entry.name && purlType(name) !== undefined;
        dumps.push({ ecosystem: isEcosystem ? name : undefined, path });
      }
    }
    const { length } = dumps;
    const wanted = this.#ecosystems;
    const kept = dumps.filter(({ ecosystem }) => ecosystem === undefined || (wanted?.includes(ecosystem) ?? true));
    if (length > 0 && kept.length === 0) throw unavailable(`${this.#path}: found no dump of ${wanted?.join(', ')}`);
    return kept.sort((one, other) => (one.path < other.path ? -1 : 1));
  }

  async #list(path: string): Promise<Dirent[]> {
    try {
      return await readdir(path, { withFileTypes: true });
    } catch (error) {
      throw unavailable(`${path}: expected a folder with OSV dumps, found none that can be read`, error);
    }
  }
}

function isDump(name: string): boolean {
  return name.endsWith('.zip') || name.endsWith('.json');
}

function sameOrigin(one: Origin, other: Origin): boolean {
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((name) => one[name] === other[name]);
}

function unavailable(message: string, cause?: unknown): EntrepotError {
  return new EntrepotError('scan-unavailable', message, { code: 'SCAN_DATABASE', cause });
}
