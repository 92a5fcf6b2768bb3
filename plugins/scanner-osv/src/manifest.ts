import {
  closeSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Origin } from './import-task.js';
import type { SnapshotFiles } from './snapshot.js';

/** The form of the files; another one is not read but made anew. */
const FORMAT = 2;
const NAME = 'manifest.json';
/** A file that no manifest names may be another process's, which is still writing it. */
const ABANDONED = 3_600_000;

/** Which snapshot is in force, and what it was made from. Replaced as a whole, by a rename. */
export interface Manifest {
  /** Of what findings are made of; see `ContentSum`. */
  readonly revision: string;
  readonly files: SnapshotFiles;
  /** OSV ecosystems whose records are here as a whole, without releases. */
  readonly covered: readonly string[];
  /** Every OSV ecosystem that some record names, with its release. */
  readonly ecosystems: readonly string[];
  readonly records: number;
  /** When everything was last imported from the beginning; milliseconds since the epoch. */
  readonly fullAt: number;
  /** When the source was last changed, as far as it says so; milliseconds since the epoch. */
  readonly date: number;
  /** By dump: how far its list of changes was read, or what it looked like. */
  readonly origin: Origin;
}

/** The manifest in `directory`; `undefined` when there is none of this format. */
export function readManifest(directory: string): Manifest | undefined {
  try {
    const kept = JSON.parse(readFileSync(join(directory, NAME), 'utf8')) as Manifest & { format?: unknown };
    return kept.format === FORMAT ? kept : undefined;
  } catch {
    return undefined;
  }
}

/** Puts `manifest` in force, and removes files that no manifest names any more. */
export function writeManifest(directory: string, manifest: Manifest): void {
  const staged = join(directory, `${NAME}.${process.pid}.${Date.now()}`);
  const file = openSync(staged, 'w');
  try {
    writeSync(file, JSON.stringify({ format: FORMAT, ...manifest }));
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(staged, join(directory, NAME));
  removeAbandoned(directory, manifest.files);
}

function removeAbandoned(directory: string, { index, logs }: SnapshotFiles): void {
  const named = new Set([index, ...logs]);
  for (const name of readdirSync(directory)) {
    if (!/^(?:(?:log|index|spill|staging)-|manifest\.json\.)/.test(name) || named.has(name)) continue;
    try {
      if (Date.now() - statSync(join(directory, name)).mtimeMs > ABANDONED)
        rmSync(join(directory, name), { recursive: true });
    } catch {
      // Another process was faster.
    }
  }
}
