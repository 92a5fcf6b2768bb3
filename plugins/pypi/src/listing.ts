import type { ArtifactDescription, RenderRequest } from '@entrepot/core';
import { normalisePythonVersion, pythonVersionIdentity } from '@entrepot/core/formats';
import { coordinatesOf } from './keys.js';

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
