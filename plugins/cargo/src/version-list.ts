import type { ArtifactDescription } from '@entrepot/core';
import { coordinatesOf } from './crate-name.js';

/** A version in memory, in bytes, about: a tree of 900 crates has 100,000. */
const VERSION_WEIGHT = 160;
const SUM_BYTES = 32;
const YANKED = 1;
const LINKS = 2;

/** A line of the index of a crate: the facts that count here. */
export interface VersionLine {
  readonly name: string;
  readonly version: string;
  /** Its SHA-256, as hexadecimal digits. */
  readonly sha256: string;
  readonly isYanked: boolean;
  readonly links: boolean;
  /** Milliseconds. `NaN`: it is not known. */
  readonly publishedAt: number;
}

/** The key of the bytes of a version: `name` in any case. With another sum they are other bytes. */
export function crateKey(name: string, version: string, sha256: string): string {
  return `${prefixOf(name)}${version}/${sha256}`;
}

/** The versions of one crate in the order of their lines, in little memory: they are described when that is asked for. */
export class VersionList {
  readonly #prefix: string;
  readonly #licences: ReadonlyMap<string, string>;
  readonly #names: readonly string[];
  readonly #versions: readonly string[];
  readonly #sums: Buffer;
  readonly #flags: Uint8Array;
  readonly #dates: Float64Array;
  /** The last line of each version, and of a line the one before it with the same version. */
  readonly #last = new Map<string, number>();
  readonly #earlier = new Map<number, number>();

  /** @param crate in lower case @param licences those that are known, by version */
  constructor(crate: string, lines: readonly VersionLine[], licences: ReadonlyMap<string, string>) {
    this.#prefix = prefixOf(crate);
    this.#licences = licences;
    this.#names = lines.map(({ name }) => name);
    this.#versions = lines.map(({ version }) => version);
    this.#sums = Buffer.from(lines.map(({ sha256 }) => sha256).join(''), 'hex');
    this.#flags = Uint8Array.from(lines, ({ isYanked, links }) => (isYanked ? YANKED : 0) | (links ? LINKS : 0));
    this.#dates = Float64Array.from(lines, ({ publishedAt }) => publishedAt);
    for (const [at, { version }] of lines.entries()) {
      const before = this.#last.get(version);
      if (before !== undefined) this.#earlier.set(at, before);
      this.#last.set(version, at);
    }
  }

  get length(): number {
    return this.#versions.length;
  }

  /** Bytes in memory, about. */
  get weight(): number {
    return this.length * VERSION_WEIGHT;
  }

  /** The sum of a version. Of two lines for one version the first counts, where nobody says which. `undefined`: it is not listed. */
  sumOf(version: string): string | undefined {
    let first: number | undefined;
    for (const at of this.#linesOf(version)) first = at;
    return first === undefined ? undefined : this.#sum(first);
  }

  /** Describes the bytes with this key. `undefined`: they are not listed. */
  describe(key: string): ArtifactDescription | undefined {
    if (!key.startsWith(this.#prefix)) return undefined;
    const end = key.lastIndexOf('/');
    const sum = key.slice(end + 1);
    for (const at of this.#linesOf(key.slice(this.#prefix.length, end))) if (this.#sum(at) === sum) return this.at(at);
    return undefined;
  }

  /** Describes all, by their keys. */
  *descriptions(): Generator<readonly [key: string, description: ArtifactDescription]> {
    for (let at = 0; at < this.length; at += 1)
      yield [`${this.#prefix}${this.#versions[at] as string}/${this.#sum(at)}`, this.at(at)];
  }

  /** Describes the version of a line. */
  at(line: number): ArtifactDescription {
    const [name, version] = [this.#names[line] as string, this.#versions[line] as string];
    const flags = this.#flags[line] as number;
    const publishedAt = this.#dates[line] as number;
    const licence = this.#licences.get(version);
    return {
      integrity: [{ algorithm: 'sha256', hex: this.#sum(line) }],
      coordinates: coordinatesOf(name, version),
      own: { name, version },
      yanked: (flags & YANKED) !== 0,
      ...(!Number.isNaN(publishedAt) && { publishedAt }),
      // A crate that links a native library must have a build script; of others the index says nothing.
      ...((flags & LINKS) !== 0 && { installScripts: true }),
      ...(licence !== undefined && { licenses: [licence] }),
    };
  }

  /** The lines of a version, the last one first. */
  *#linesOf(version: string): Generator<number> {
    for (let at = this.#last.get(version); at !== undefined; at = this.#earlier.get(at)) yield at;
  }

  #sum(line: number): string {
    return this.#sums.toString('hex', line * SUM_BYTES, (line + 1) * SUM_BYTES);
  }
}

function prefixOf(crate: string): string {
  return `crate/${crate.toLowerCase()}/`;
}
