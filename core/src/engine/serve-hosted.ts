import { randomUUID } from 'node:crypto';
import type { Entry } from '../api/entry-index.js';
import { EntrepotError } from '../api/errors.js';
import type { ArtifactResource, DocumentResource } from '../api/resource.js';
import type { Admission } from './admission.js';
import { missing } from './hosted-changes.js';
import type { EngineReply, EngineRequest, EngineServices, RepositoryDefinition } from './repository.js';
import type { Representations } from './representations.js';
import { respond } from './respond.js';

/** Entries are read from the index in pages of this many. */
const PAGE = 1_000;

/** What hosted serving works with. */
export interface HostedServingContext {
  readonly definition: RepositoryDefinition;
  readonly services: EngineServices;
  readonly admission: Admission;
  readonly representations: Representations;
}

/** Serves a hosted repository: we are the origin. */
export class HostedServing {
  readonly #context: HostedServingContext;

  constructor(context: HostedServingContext) {
    this.#context = context;
  }

  async serve(request: EngineRequest, resource: ArtifactResource | DocumentResource): Promise<EngineReply> {
    const { definition, services, admission, representations } = this.#context;
    if (resource.coordinates !== undefined) admission.require('request', resource.coordinates);
    if (resource.kind === 'document' && resource.fromEntries !== undefined)
      return await this.#serveList(request, resource, resource.fromEntries.prefix);
    const entry = await services.storage.entries.find(definition.name, resource.key);
    if (entry === undefined) throw missing(resource.key);
    const shown = await representations.kept(request, resource, entry, { name: 'hit' });
    if (shown === undefined)
      throw new EntrepotError('storage', `The blob of ${resource.key} is missing`, { code: 'BLOB_MISSING' });
    return await respond(request, shown);
  }

  async #serveList(request: EngineRequest, resource: DocumentResource, prefix: string): Promise<EngineReply> {
    const { definition, services, representations } = this.#context;
    if (prefix !== '' && (await services.entries.list(definition.name, { prefix, limit: 1 })).length === 0)
      throw missing(prefix);
    const shown = await representations.fromEntries(
      request,
      resource,
      this.#entriesBelow(prefix),
      `list ${randomUUID()}`,
    );
    return await respond(request, shown);
  }

  async *#entriesBelow(prefix: string): AsyncGenerator<Entry> {
    const { definition, services } = this.#context;
    let after: string | undefined;
    for (;;) {
      const page = await services.entries.list(definition.name, { prefix, after, limit: PAGE });
      yield* page;
      if (page.length < PAGE) return;
      after = page.at(-1)?.key;
    }
  }
}
