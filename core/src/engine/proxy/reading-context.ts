import type { ReadingContext, ResolvedDocument } from '../../plugin/alias.js';
import type { Parsed } from '../../plugin/classes.js';
import type { Resource } from '../../plugin/resource.js';
import type { Fetching } from '../fetch/fetching.js';
import type { ParsedDocument } from '../fetch/descriptions.js';
import type { NegativeCache } from '../store/negative-cache.js';
import type { EngineServices, RepositoryDefinition } from '../store/repository.js';

/** Parts of a repository that its hooks read through. */
export interface ReadingParts {
  readonly definition: RepositoryDefinition;
  readonly services: EngineServices;
  readonly fetching: Fetching;
  readonly negative: NegativeCache;
}

/** Settings of a context. */
interface ReadingOptions {
  /** Whether what is cached alone is read. Absent: `false`. */
  readonly keptOnly?: boolean | undefined;
  /** Whether memory is passed over, which may be behind other processes. Absent: `false`. */
  readonly isExact?: boolean | undefined;
}

/** Makes the context in which hooks read documents. */
export function readingContext(
  { definition, services, fetching, negative }: ReadingParts,
  now: number,
  { keptOnly = false, isExact = false }: ReadingOptions = {},
): ReadingContext {
  const { protocol, name, freshness } = definition;
  const { descriptions } = fetching;
  const { entries } = services.storage;
  const current = async (resource: Resource): Promise<ParsedDocument> => {
    const document = protocol.document(resource);
    // What never changes is the same everywhere.
    if (isExact && freshness[resource.class]?.policy !== 'immutable') entries.forget(name, resource.key);
    return await (keptOnly ? descriptions.kept(document) : descriptions.current(document));
  };
  return {
    now,
    document: async <Document extends Parsed>(resource: Resource) => resolved<Document>(await current(resource)),
    async renew<Document extends Parsed>(resource: Resource) {
      if (keptOnly) return resolved<Document>(await current(resource));
      const renewed = await descriptions.renewed(protocol.document(resource));
      await negative.forget(resource.key);
      return resolved<Document>(renewed);
    },
    async keys(prefix) {
      if (isExact) entries.keys.changed(name, prefix);
      return (await entries.keys.find(name, prefix)).keys;
    },
  };
}

function resolved<Document extends Parsed>({ parsed, digest }: ParsedDocument): ResolvedDocument<Document> {
  return { document: parsed as Document, digest };
}
