import type { Content } from '../../api/content.js';
import type { PackageCoordinates } from '../../api/coordinates.js';
import { asEntrepotError } from '../../api/errors.js';
import type { PartReference } from '../../api/protocol.js';
import type { Fetching } from '../fetch/fetching.js';
import type { RepositoryDefinition } from '../store/repository.js';
import { resourceAt } from './resource-at.js';

/** Reads other bytes that something of the name `whole` is made of: kept, else fetched and kept. */
export async function readPart(
  { definition, fetching }: { readonly definition: RepositoryDefinition; readonly fetching: Fetching },
  whole: PackageCoordinates,
  part: PartReference,
): Promise<Content | undefined> {
  const { protocol, kind } = definition;
  try {
    const rawPath = kind === 'hosted' ? undefined : protocol.partPath(whole, part);
    const resource = rawPath === undefined ? undefined : resourceAt(definition, rawPath);
    return resource?.kind === 'artifact' ? await fetching.reader.read(resource) : undefined;
  } catch (error) {
    const failure = asEntrepotError(error, 'plugin', `Fetching ${part.digest} of ${whole.name} failed`);
    if (failure.kind === 'not-found') return undefined;
    throw failure;
  }
}
