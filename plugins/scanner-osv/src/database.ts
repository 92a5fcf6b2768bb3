import { type Finding, type Integrity, type PackageCoordinates } from '@entrepot/core';
import { Lru } from '@entrepot/core/formats';
import {
  compilePackage,
  type CompiledPackage,
  type Enrichment,
  judge,
  type Match,
  matchesOf,
  packageKey,
  type PackageVerdict,
  type PackedPackage,
} from './advisories.js';
import { baseEcosystem, osvPackage, type OsvPackage, purlType } from './ecosystems.js';
import type { Manifest } from './manifest.js';
import { Snapshot } from './snapshot.js';
import { recordText } from './stored-record.js';

/**
 * The size of all compiled packages in memory, and the least that one counts for; bytes. One distribution's kernel has
 * thousands of advisories.
 */
const MOST_BYTES = 32 * 1024 * 1024;
const LEAST_BYTES = 64 * 1024;

interface Kept {
  readonly compiled: CompiledPackage;
  readonly size: number;
}

/** One revision of the database, open. Synchronous and read-only. */
export class Database {
  readonly manifest: Manifest;
  readonly #snapshot: Snapshot;
  /** Package URL types whose records are complete. */
  readonly #types: ReadonlySet<string>;
  /** OSV ecosystems by the type of their package URLs. */
  readonly #byType = new Map<string, string[]>();
  readonly #packages = new Lru<Kept>(MOST_BYTES, ({ size }) => Math.max(size, LEAST_BYTES));

  private constructor(manifest: Manifest, snapshot: Snapshot) {
    this.manifest = manifest;
    this.#snapshot = snapshot;
    const covered = new Set(manifest.covered);
    this.#types = new Set(manifest.covered.flatMap((ecosystem) => purlType(ecosystem) ?? []));
    for (const ecosystem of [...manifest.covered, ...manifest.ecosystems]) {
      const type = purlType(ecosystem);
      if (type === undefined || !covered.has(baseEcosystem(ecosystem))) continue;
      const known = this.#byType.get(type) ?? [];
      if (!known.includes(ecosystem)) known.push(ecosystem);
      this.#byType.set(type, known);
    }
  }

  /** @throws Error when a file is missing or damaged */
  static open(directory: string, manifest: Manifest): Database {
    return new Database(manifest, Snapshot.open(directory, manifest.files));
  }

  get types(): readonly string[] {
    return [...this.#types];
  }

  /** Looks up `coordinates`. `undefined`: the database does not cover their ecosystem. */
  lookup(
    coordinates: PackageCoordinates,
    integrity: readonly Integrity[],
    enrichment: Enrichment,
  ): PackageVerdict | undefined {
    const found = this.packageOf(coordinates);
    const byHash = this.#byHash(integrity, enrichment);
    if (found === undefined) return byHash.length === 0 ? undefined : { findings: byHash, undecided: true };
    const verdict = this.query(found.ecosystem, found.name, coordinates.version, enrichment);
    if (byHash.length === 0) return verdict;
    const known = new Set(verdict.findings.map(({ id }) => id));
    return { ...verdict, findings: [...verdict.findings, ...byHash.filter(({ id }) => !known.has(id))] };
  }

  /** Looks up a package by its OSV names: `Debian:12`, `curl`. Without a version: all findings. */
  query(ecosystem: string, name: string, version: string | undefined, enrichment: Enrichment): PackageVerdict {
    const compiled = this.#package(packageKey(ecosystem, name));
    return compiled === undefined ? NOTHING : judge(compiled, version, enrichment);
  }

  /**
   * Finds the records that affect a version of a package, or any version. Where versions cannot be compared: those that
   * may.
   */
  matches(ecosystem: string, name: string, version: string | undefined): readonly Match[] {
    const compiled = this.#package(packageKey(ecosystem, name));
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
  record(id: string): string | undefined {
    const stored = this.#snapshot.get(`r:${id}`);
    return stored === undefined ? undefined : recordText(stored);
  }

  /** The advisories of a package, with the groups of aliases. */
  package(ecosystem: string, name: string): CompiledPackage | undefined {
    return this.#package(packageKey(ecosystem, name));
  }

  close(): void {
    this.#packages.clear();
    this.#snapshot.close();
  }

  #byHash(integrity: readonly Integrity[], enrichment: Enrichment): Finding[] {
    const findings: Finding[] = [];
    for (const { algorithm, hex } of integrity) {
      if (algorithm !== 'sha512') continue;
      const compiled = this.#package(`h:${hex}`);
      if (compiled !== undefined) findings.push(...judge(compiled, undefined, enrichment).findings);
    }
    return findings;
  }

  #package(key: string): CompiledPackage | undefined {
    const kept = this.#packages.get(key);
    if (kept !== undefined) return kept.compiled;
    // A name without advisories costs a look into the index in memory; it is not kept.
    const stored = this.#snapshot.get(key);
    if (stored === undefined) return undefined;
    const size = stored.length;
    const compiled = compilePackage(JSON.parse(stored.toString('utf8')) as PackedPackage);
    this.#packages.set(key, { compiled, size });
    return compiled;
  }
}

const NOTHING: PackageVerdict = { findings: [], undecided: false };
