import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { scanError } from '@entrepot/core';
import { traitsOf } from './ecosystems.js';
import type { DumpFile, DumpSource } from './dump-source.js';

/**
 * A folder on this machine: `<ECOSYSTEM>/all.zip` as the public dumps have it, and any `.zip` or `.json` beside. A `.zip` that is
 * named after an ecosystem (`npm.zip`) is taken as the whole of it.
 */
export function folderSource(folder: string, ecosystems: readonly string[] | undefined): DumpSource {
  return {
    async changes({ origin: known, isFullDue }) {
      const found = await dumpsIn(folder);
      if (found.length === 0) {
        throw scanError('SCAN_DATABASE', `${folder}: expected <ECOSYSTEM>/all.zip, a .zip or a .json file, found none`);
      }
      const dumps = found.filter(
        ({ ecosystem }) => ecosystem === undefined || (ecosystems?.includes(ecosystem) ?? true),
      );
      if (dumps.length === 0) throw scanError('SCAN_DATABASE', `${folder}: found no dump of ${ecosystems?.join(', ')}`);
      const origin: Record<string, string> = {};
      let date = 0;
      for (const { path } of dumps) {
        const { size, mtimeMs } = await stat(path);
        origin[path] = `${size} ${mtimeMs}`;
        date = Math.max(date, mtimeMs);
      }
      return isFullDue || !isDeepStrictEqual(origin, known)
        ? { kind: 'full', dumps, origin, date }
        : { kind: 'none', origin, date };
    },
  };
}

async function dumpsIn(folder: string): Promise<DumpFile[]> {
  const dumps: DumpFile[] = [];
  for (const entry of await list(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      const files = (await list(path)).filter((file) => file.isFile()).map(({ name }) => name);
      // The single records beside an archive are in it.
      const wanted = files.includes('all.zip') ? ['all.zip'] : files.filter(isDump);
      for (const name of wanted) dumps.push({ ecosystem: ecosystemOf(entry.name), path: join(path, name) });
    } else if (isDump(entry.name)) {
      const ecosystem = entry.name.endsWith('.zip') ? ecosystemOf(basename(entry.name, '.zip')) : undefined;
      dumps.push({ ecosystem, path });
    }
  }
  return dumps.sort((one, other) => (one.path < other.path ? -1 : 1));
}

async function list(path: string): Promise<Dirent[]> {
  try {
    return await readdir(path, { withFileTypes: true });
  } catch (error) {
    throw scanError('SCAN_DATABASE', `${path}: expected a folder with OSV dumps, found none that can be read`, error);
  }
}

function ecosystemOf(name: string): string | undefined {
  return traitsOf(name) === undefined ? undefined : name;
}

function isDump(name: string): boolean {
  return name.endsWith('.zip') || name.endsWith('.json');
}
