import type { Content } from '../../api/content.js';
import type { PackageCoordinates } from '../../api/coordinates.js';
import { asEntrepotError } from '../../api/errors.js';
import type { PartReference } from '../../api/protocol.js';
import type { Flights } from '../fetch/flights.js';
import type { RepositoryDefinition } from '../store/repository.js';
import { resourceAt } from './resource-at.js';

/** Other bytes that something of the name `whole` is made of: kept, else fetched and kept. */
export async function readPart(
  { definition, flights }: { readonly definition: RepositoryDefinition; readonly flights: Flights },
  whole: PackageCoordinates,
  part: PartReference,
): Promise<Content | undefined> {
  const { protocol, kind } = definition;
  try {
    const rawPath = kind === 'hosted' ? undefined : protocol.partPath?.(whole, part);
    const resource = rawPath === undefined ? undefined : resourceAt(definition, rawPath);
    return resource?.kind === 'artifact' ? await flights.read(resource) : undefined;
  } catch (error) {
    const failure = asEntrepotError(error, 'plugin', `Fetching ${part.digest} of ${whole.name} failed`);
    if (failure.kind === 'not-found') return undefined;
    throw failure;
  }
}
