import type { RequestHead } from '../../api/protocol.js';
import { parseRequestPath, type PathRules } from './request-path.js';
import type { EngineRequest } from './request.js';

/**
 * Makes the part of `request` that a protocol sees.
 * @throws EntrepotError `bad-request` for a path that is not safe
 */
export function requestHead(request: EngineRequest, rules: PathRules | undefined): Head {
  const { segments, trailingSlash } = parseRequestPath(request.rawPath, rules);
  return new Head(request, segments, trailingSlash);
}

/** A request head that parses the query only for protocols that look at it, and notes whether they look at headers. */
class Head implements RequestHead {
  readonly method: string;
  readonly mount: string | undefined;
  readonly segments: readonly string[];
  readonly trailingSlash: boolean;
  readonly rawQuery: string;
  /** Whether the answer may depend on more than the method and the target. */
  wasHeaderRead = false;
  readonly #request: EngineRequest;
  #query: URLSearchParams | undefined;

  constructor(request: EngineRequest, segments: readonly string[], trailingSlash: boolean) {
    this.method = request.method === 'HEAD' ? 'GET' : request.method;
    this.mount = request.mount;
    this.segments = segments;
    this.trailingSlash = trailingSlash;
    this.rawQuery = request.rawQuery;
    this.#request = request;
  }

  /**
   * Not a method: plugins take a head apart. Made when it is asked for, since a closure in a field kept whole requests alive until
   * the next full collection of garbage (V8 13.6): a kilobyte each, and a young generation of 100 MiB.
   */
  get header(): (name: string) => string | undefined {
    this.wasHeaderRead = true;
    const request = this.#request;
    return (name) => request.header(name);
  }

  get query(): URLSearchParams {
    this.#query ??= new URLSearchParams(this.rawQuery);
    return this.#query;
  }
}
