import { readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { writeDurably } from './append-file.js';
import type { SourceState } from './dump-source.js';
import type { SnapshotFiles } from './snapshot.js';

/** The form of the files; another one is not read but made anew. */
const FORMAT = 3;
const NAME = 'manifest.json';
/** A file that no manifest names may be another process's, which is still writing it. */
const ABANDONED = 3_600_000;

/** The contents of a snapshot. */
export interface ImportedFacts {
  /** Of what findings are made of; see `ContentSum`. */
  readonly revision: string;
  /** OSV ecosystems whose records are here as a whole, without releases. */
  readonly covered: readonly string[];
  /** Every OSV ecosystem that some record names, with its release. */
  readonly ecosystems: readonly string[];
  readonly records: number;
  /** When everything was last imported from the beginning; milliseconds since the epoch. */
  readonly fullAt: number;
}

/** Which snapshot is in force, and the state of the source that it was made from. Replaced as a whole, by a rename. */
export interface Manifest extends ImportedFacts, SourceState {
  readonly files: SnapshotFiles;
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
  writeDurably(staged, [Buffer.from(JSON.stringify({ format: FORMAT, ...manifest }))]);
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
