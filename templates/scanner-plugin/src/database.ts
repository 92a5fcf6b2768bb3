import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Finding, PackageCoordinates } from '@entrepot/core';
import { z } from 'zod';

const advisory = z.object({
  id: z.string(),
  aliases: z.array(z.string()).default([]),
  ecosystem: z.string(),
  name: z.string(),
  versions: z.array(z.string()),
  // A level that nobody gave is not guessed.
  severity: z.enum(['critical', 'high', 'medium', 'low', 'none', 'unknown']).default('unknown'),
  fixedIn: z.array(z.string()).default([]),
  url: z.string().optional(),
});

const advisories = z.object({
  /** The package URL types of which it knows all advisories. */
  ecosystems: z.array(z.string()).min(1),
  date: z.iso.datetime(),
  advisories: z.array(advisory),
});

/** One state of the advisories. Never changed: an update makes another one. */
export class Database {
  /** Names the state: the same for the same file on every machine. */
  readonly revision: string;
  readonly ecosystems: readonly string[];
  /** Milliseconds since the epoch. */
  readonly date: number;
  readonly #byName = new Map<string, z.output<typeof advisory>[]>();

  private constructor(text: string) {
    const found = advisories.parse(JSON.parse(text));
    this.revision = createHash('sha256').update(text).digest('hex');
    this.ecosystems = found.ecosystems;
    this.date = Date.parse(found.date);
    for (const one of found.advisories) {
      const key = keyOf(one);
      this.#byName.set(key, [...(this.#byName.get(key) ?? []), one]);
    }
  }

  /** @throws Error when there is no such file, or it is not a list of advisories. */
  static async read(path: string): Promise<Database> {
    return new Database(await readFile(path, 'utf8'));
  }

  /** Finds the advisories of a version; without one, those of the name. `undefined`: the ecosystem is unknown here. */
  find(coordinates: PackageCoordinates): readonly Finding[] | undefined {
    const { ecosystem, version } = coordinates;
    if (!this.ecosystems.includes(ecosystem)) return undefined;
    return (this.#byName.get(keyOf(coordinates)) ?? [])
      .filter(({ versions }) => version === undefined || versions.includes(version))
      .map(({ id, aliases, severity, fixedIn, url }) => ({ id, aliases, severity, fixedIn, url, source: 'acme' }));
  }
}

function keyOf({ ecosystem, name }: PackageCoordinates): string {
  return `${ecosystem} ${name}`;
}
