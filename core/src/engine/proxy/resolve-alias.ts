import { EntrepotError } from '../../api/errors.js';
import type { ResolveContext } from '../../plugin/alias.js';
import type { JudgingParts } from '../policy/judge.js';
import type { RequestContext } from '../request/request-context.js';
import type { AliasResource, BoundResource } from '../request/resource.js';
import { listKept } from './list-kept.js';
import { readingContext, type ReadingParts } from './reading-context.js';

/** Parts of a repository that aliases are resolved with. */
export type AliasParts = ReadingParts & JudgingParts;

/** The resolution of an alias for one request. */
export class AliasResolution {
  readonly #alias: AliasResource;
  readonly #context: ResolveContext;
  readonly #parts: AliasParts;

  constructor(parts: AliasParts, { request, client, now }: RequestContext, alias: AliasResource) {
    this.#alias = alias;
    this.#parts = parts;
    const isHead = request.method === 'HEAD';
    const kept: ResolveContext['kept'] = (listing) => listKept(parts, now, listing, request.signal);
    this.#context = { ...readingContext(parts, now), client, connection: request.connection, isHead, kept };
  }

  /** Finds the resource that it stands for. @throws EntrepotError `not-found` where there is none */
  async find(): Promise<BoundResource> {
    const found = await this.#alias.resolve(this.#context);
    if (found !== undefined) return found;
    throw new EntrepotError('not-found', 'Nothing is served under this path', { code: 'NO_ROUTE' });
  }

  /** Finds the resource that it stands for by newer documents. @throws `error` where there is none, or where it was another one */
  async findAfter(missing: BoundResource, error: unknown): Promise<BoundResource> {
    const isMissing = error instanceof EntrepotError && error.kind === 'not-found';
    const found = isMissing && 'named' in missing && (await this.#alias.resolveMissing(missing.named, this.#context));
    if (!found) throw error;
    // That it was not there a moment ago says nothing any more.
    if ('key' in found) await this.#parts.negative.forget(found.key);
    return found;
  }

  /** The headers of the reply besides its own. */
  get replyHeaders(): Readonly<Record<string, string>> | undefined {
    return this.#alias.replyHeaders(this.#context);
  }
}

/** Lists the keys of what is kept for an alias. */
export async function keysOfAlias(parts: AliasParts, alias: AliasResource, now: number): Promise<readonly string[]> {
  const context: ResolveContext = {
    ...readingContext(parts, now, { keptOnly: true }),
    client: undefined,
    connection: undefined,
    isHead: false,
    kept: (listing) => listKept(parts, now, listing),
  };
  const keys = await alias.storedKeys(context);
  if (keys !== undefined) return keys;
  const found = await alias.resolve(context).catch(notKept);
  return found !== undefined && 'key' in found ? [found.key] : [];
}

function notKept(error: unknown): undefined {
  if (error instanceof EntrepotError && error.kind === 'not-found') return undefined;
  throw error;
}
