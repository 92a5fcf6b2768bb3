import type { PackageCoordinates } from '../../api/coordinates.js';
import { asEntrepotError } from '../../api/errors.js';
import { WorkTurns } from '../../formats/work-turns.js';
import { factsOf } from '../policy/facts.js';
import type { Judge } from '../policy/judge.js';
import { requireAllowed } from '../policy/verdict.js';
import type { Fetching } from '../fetch/fetching.js';
import type { ArtifactDescription } from '../../api/protocol.js';
import type { Parsed } from '../../plugin/classes.js';
import type { DescribedVersion, EngineServices, RepositoryDefinition } from '../store/repository.js';
import { resourceAt } from './resource-at.js';

interface DescribeContext {
  readonly definition: RepositoryDefinition;
  readonly services: EngineServices;
  readonly fetching: Fetching;
  readonly judge: Judge;
}

const NOTHING: ArtifactDescription = { integrity: [] };

function* descriptionsIn(parsed: Parsed): Generator<ArtifactDescription> {
  for (const [, description] of parsed.descriptions?.() ?? []) yield description;
}

/** Describes the versions of a name by its document, or one version by its own: the kept one, else it is fetched. */
export async function describeVersions(
  { definition, services, fetching, judge }: DescribeContext,
  subject: PackageCoordinates,
  keptOnly: boolean,
): Promise<readonly DescribedVersion[]> {
  const { protocol, kind } = definition;
  const { name } = subject;
  const rawPath = kind === 'hosted' ? undefined : protocol.documentPath(subject);
  if (rawPath === undefined) return [];
  try {
    const resource = resourceAt(definition, rawPath);
    if (resource?.kind !== 'document' && resource?.kind !== 'artifact') return [];
    // A name that nobody may have is not told to an upstream.
    requireAllowed(judge({ now: services.clock.now() }, { kind: 'name', coordinates: subject }));
    const documents = resource.kind === 'document' ? [resource] : resource.describedBy;
    if (documents.length === 0) return [];
    for (const { key } of keptOnly ? documents : [])
      if ((await services.storage.entries.find(definition.name, key)) === undefined) return [];
    const descriptions =
      resource.kind === 'document'
        ? descriptionsIn(await fetching.descriptions.inDocument(resource))
        : [await fetching.descriptions.describe(resource)];
    const versions = new Map<string, DescribedVersion>();
    const turns = new WorkTurns();
    for (const description of descriptions) {
      if (turns.over) await turns.next();
      const { coordinates, integrity } = description ?? NOTHING;
      const version = coordinates?.version;
      if (version === undefined || coordinates?.name !== name || versions.has(version)) continue;
      versions.set(version, { coordinates, integrity, facts: factsOf(description) ?? {} });
    }
    return [...versions.values()];
  } catch (error) {
    throw asEntrepotError(error, 'plugin', `describing ${name} failed`);
  }
}
