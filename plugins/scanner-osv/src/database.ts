import { type Integrity, type PackageCoordinates } from '@entrepot/core';
import { Lru } from '@entrepot/core/formats';
import {
  CLEAN,
  compilePackage,
  type CompiledPackage,
  type Enrichment,
  judge,
  type Match,
  matchesOf,
  packageKey,
  type PackageVerdict,
} from './advisories.js';
import { baseEcosystem, osvPackage, type OsvPackage, traitsOf } from './ecosystems.js';
import type { Manifest } from './manifest.js';
import { type OsvRecord, parseRecord } from './osv-record.js';
import { Snapshot } from './snapshot.js';
import { recordText } from './stored-record.js';

/**
 * The size of all compiled packages in memory, and the least that one counts for; bytes. One distribution's kernel has
 * thousands of advisories.
 */
const MOST_BYTES = 32 * 1024 * 1024;
const LEAST_BYTES = 64 * 1024;

/** One revision of the database, open. Synchronous and read-only. */
export class Database {
  readonly manifest: Manifest;
  readonly #snapshot: Snapshot;
  /** Complete OSV ecosystems by the type of their package URLs. */
  readonly #byType = new Map<string, string[]>();
  readonly #packages = new Lru<CompiledPackage>(MOST_BYTES, ({ size }) => Math.max(size, LEAST_BYTES));

  /** @throws Error when a file is missing or damaged */
  constructor(directory: string, manifest: Manifest) {
    this.manifest = manifest;
    this.#snapshot = new Snapshot(directory, manifest.files);
    for (const ecosystem of new Set([...manifest.covered, ...manifest.ecosystems])) {
      const type = traitsOf(ecosystem)?.type;
      if (type === undefined || !this.covers(ecosystem)) continue;
      this.#byType.set(type, [...(this.#byType.get(type) ?? []), ecosystem]);
    }
  }

  /** Package URL types whose records are complete. */
  get types(): readonly string[] {
    return [...this.#byType.keys()];
  }

  /** Looks up `coordinates`. `undefined`: the database does not cover their ecosystem. */
  lookup(
    coordinates: PackageCoordinates,
    integrity: readonly Integrity[],
    enrichment: Enrichment,
  ): PackageVerdict | undefined {
    const judged = (key: string, version?: string): PackageVerdict => {
      const compiled = this.#package(key);
      return compiled === undefined ? CLEAN : judge(compiled, version, enrichment);
    };
    const sums = integrity.filter(({ algorithm }) => algorithm === 'sha512');
    const byHash = sums.flatMap(({ hex }) => judged(`h:${hex}`).findings);
    const found = this.packageOf(coordinates);
    if (found === undefined) return byHash.length === 0 ? undefined : { findings: byHash, undecided: true };
    const verdict = judged(packageKey(found), coordinates.version);
    if (byHash.length === 0) return verdict;
    const known = new Set(verdict.findings.map(({ id }) => id));
    return { ...verdict, findings: [...verdict.findings, ...byHash.filter(({ id }) => !known.has(id))] };
  }

  /** Finds the records that affect a version of a package, or any version. Where versions cannot be compared: those that may. */
  matches(subject: OsvPackage, version: string | undefined): readonly Match[] {
    const compiled = this.package(subject);
    return compiled === undefined ? [] : matchesOf(compiled, version);
  }

  /** The OSV package of `coordinates`; `undefined`: the database is not about their ecosystem. */
  packageOf(coordinates: PackageCoordinates): OsvPackage | undefined {
    return osvPackage(coordinates, this.#byType.get(coordinates.ecosystem) ?? []);
  }

  /** Whether the records of an OSV ecosystem, with or without a release, are complete. */
  covers(ecosystem: string): boolean {
    return this.manifest.covered.includes(baseEcosystem(ecosystem));
  }

  /** The JSON text of a record, withdrawn ones included. `undefined` when there is none. */
  recordText(id: string): string | undefined {
    const stored = this.#snapshot.get(`r:${id}`);
    return stored === undefined ? undefined : recordText(stored);
  }

  /** The record with `id`, withdrawn ones included. */
  record(id: string): OsvRecord | undefined {
    const text = this.recordText(id);
    return text === undefined ? undefined : parseRecord(text);
  }

  /** The advisories of a package, with the groups of aliases. */
  package(subject: OsvPackage): CompiledPackage | undefined {
    return this.#package(packageKey(subject));
  }

  close(): void {
    this.#packages.clear();
    this.#snapshot.close();
  }

  #package(key: string): CompiledPackage | undefined {
    const kept = this.#packages.get(key);
    if (kept !== undefined) return kept;
    // A name without advisories costs a look into the index in memory; it is not kept.
    const stored = this.#snapshot.get(key);
    if (stored === undefined) return undefined;
    const compiled = compilePackage(stored);
    this.#packages.set(key, compiled);
    return compiled;
  }
}
