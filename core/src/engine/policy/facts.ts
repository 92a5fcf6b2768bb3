import type { PackageCoordinates } from '../../api/coordinates.js';
import type { Entry } from '../../api/entry-index.js';
import { FACT_NAMES, type ArtifactFacts } from '../../api/facts.js';
import type { ArtifactDescription } from '../../api/protocol.js';

/** Facts about cached bytes that the document in force does not list. */
export interface Unlisted {
  readonly unlisted: Pick<ArtifactFacts, 'upstream'>;
}

/** Statement of the document in force about cached bytes. */
export type DescriptionNow = ArtifactDescription | Unlisted | undefined;

const STATED: readonly (keyof ArtifactFacts)[] = [...FACT_NAMES, 'before'];

/** Finds the facts about cached bytes. The current document overrides what it said when they were fetched. */
export function factsNow({ facts }: Entry, description: DescriptionNow): ArtifactFacts {
  if (description !== undefined && 'unlisted' in description) return { ...facts, ...description.unlisted };
  return description ?? facts ?? {};
}

/** The coordinates that the document in force gives cached bytes. */
export function describedCoordinates(description: DescriptionNow): PackageCoordinates | undefined {
  return description === undefined || 'unlisted' in description ? undefined : description.coordinates;
}

/** The facts of a description alone: these are kept with an entry. `undefined`: it states none. */
export function factsOf(description: ArtifactDescription | undefined): ArtifactFacts | undefined {
  if (description === undefined) return undefined;
  const known = STATED.filter((name) => description[name] !== undefined).map((name) => [name, description[name]]);
  return known.length === 0 ? undefined : (Object.fromEntries(known) as ArtifactFacts);
}
