import { EntrepotError } from '../../api/errors.js';
import type { Parsed } from '../../plugin/classes.js';
import type { ResolveContext, ResolvedDocument } from '../../plugin/alias.js';
import type { Fetching } from '../fetch/fetching.js';
import type { RequestContext } from '../request/request-context.js';
import type { AliasResource, BoundResource } from '../request/resource.js';
import type { EngineServices, RepositoryDefinition } from '../store/repository.js';

/** Parts of a repository that aliases are resolved with. */
interface ResolvingParts {
  readonly definition: RepositoryDefinition;
  readonly services: EngineServices;
  readonly fetching: Fetching;
}

/** Finds the resource that `alias` stands for in this request. @throws EntrepotError `not-found` where there is none */
export async function resolveAlias(
  { definition, services, fetching }: ResolvingParts,
  { request, client, now }: RequestContext,
  alias: AliasResource,
): Promise<BoundResource> {
  const { protocol, name } = definition;
  const context: ResolveContext = {
    client,
    connection: request.connection,
    now,
    async document<Document extends Parsed>(resource: Parameters<ResolveContext['document']>[0]) {
      const { parsed, digest } = await fetching.descriptions.current(protocol.document(resource));
      return { document: parsed, digest } as ResolvedDocument<Document>;
    },
    keys: async (prefix) => (await services.storage.entries.keys.find(name, prefix)).keys,
  };
  const found = await alias.resolve(context);
  if (found !== undefined) return found;
  throw new EntrepotError('not-found', 'Nothing is served under this path', { code: 'NO_ROUTE' });
}
