import { Readable } from 'node:stream';
import type { PackageCoordinates } from '../api/coordinates.js';
import { asEntrepotError } from '../api/errors.js';
import { factsOf, type Admission } from './admission.js';
import type { Flights } from './flights.js';
import type { DescribedVersion, RepositoryDefinition } from './repository.js';
import { requestHead } from './request-head.js';

/** What the document of a name says of its versions: the kept one, else it is fetched. */
export async function describeVersions(
  { definition, flights, admission }: { definition: RepositoryDefinition; flights: Flights; admission: Admission },
  { ecosystem, name }: PackageCoordinates,
): Promise<readonly DescribedVersion[]> {
  const { protocol, plugin, kind } = definition;
  const rawPath = kind === 'hosted' ? undefined : protocol.documentPath?.({ ecosystem, name });
  if (rawPath === undefined) return [];
  try {
    const resource = protocol.route(requestHead(askedFor(rawPath), plugin.dotSegments));
    if (resource?.kind !== 'document') return [];
    // A name that nobody may have is not told to an upstream.
    admission.requireName({ coordinates: { ecosystem, name } });
    const versions = new Map<string, DescribedVersion>();
    for (const description of (await flights.descriptionsIn(resource)).values()) {
      const { coordinates, integrity } = description;
      const version = coordinates?.version;
      if (version === undefined || coordinates?.name !== name || versions.has(version)) continue;
      versions.set(version, { coordinates, integrity, facts: factsOf(description) ?? {} });
    }
    return [...versions.values()];
  } catch (error) {
    throw asEntrepotError(error, 'plugin', `describing ${name} failed`);
  }
}

function askedFor(rawPath: string) {
  const signal = new AbortController().signal;
  return {
    method: 'GET',
    rawPath,
    rawQuery: '',
    header: () => undefined,
    body: Readable.from([]),
    baseUrl: '',
    signal,
  };
}
