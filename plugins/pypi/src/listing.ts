import type { ArtifactDescription, RenderRequest } from '@entrepot/core';
import { normalisePythonVersion, pythonVersionIdentity, WorkTurns } from '@entrepot/core/formats';
import { coordinatesOf } from './keys.js';

/** How much is handed on at once, in characters. */
const BATCH = 64 * 1024;

/** Collects the versions that policy leaves of a project: those with a file that it admits, and those that never had one. */
export class Listing {
  readonly #project: string;
  readonly #admits: RenderRequest['admits'];
  /** By identity: whether one of its files is listed. */
  readonly #versions = new Map<string, boolean>();

  constructor(project: string, { admits }: RenderRequest) {
    this.#project = project;
    this.#admits = admits;
  }

  /** Whether a file of `version` is listed. */
  admits(version: string, description: ArtifactDescription | undefined): boolean {
    // PEP 792: nothing of a project in quarantine is offered.
    const admitted =
      description?.upstream !== 'quarantined' && this.#admits(coordinatesOf(this.#project, version), description);
    const identity = pythonVersionIdentity(version);
    this.#versions.set(identity, admitted || this.#versions.get(identity) === true);
    return admitted;
  }

  /** Whether `version` is listed. Called when all files were seen. */
  keeps(version: string): boolean {
    return (
      this.#versions.get(pythonVersionIdentity(version)) ??
      this.#admits(coordinatesOf(this.#project, normalisePythonVersion(version)))
    );
  }
}

/** Joins small texts to larger ones, and lets others have their turn between them. */
export async function* inBatches(
  texts: Iterable<string> | AsyncIterable<string>,
): AsyncGenerator<string, void, undefined> {
  const turns = new WorkTurns();
  let batch = '';
  for await (const text of texts) {
    batch += text;
    if (turns.over) await turns.next();
    if (batch.length < BATCH) continue;
    yield batch;
    batch = '';
  }
  yield batch;
}
