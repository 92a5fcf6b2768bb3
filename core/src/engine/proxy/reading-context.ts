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

/**
 * Makes the context in which hooks read documents.
 * @param keptOnly whether they read what is cached alone
 */
export function readingContext(
  { definition, services, fetching, negative }: ReadingParts,
  now: number,
  keptOnly = false,
): ReadingContext {
  const { protocol, name } = definition;
  const { descriptions } = fetching;
  const current = async (resource: Resource): Promise<ParsedDocument> => {
    const document = protocol.document(resource);
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
    keys: async (prefix) => (await services.storage.entries.keys.find(name, prefix)).keys,
  };
}

function resolved<Document extends Parsed>({ parsed, digest }: ParsedDocument): ResolvedDocument<Document> {
  return { document: parsed as Document, digest };
}
