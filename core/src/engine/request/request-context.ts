import type { Caller } from '../../api/access.js';
import type { EngineRequest } from './request.js';

/** One request with the facts that policy and the journal look at. Made once, when its caller is known. */
export interface RequestContext {
  readonly request: EngineRequest;
  readonly caller: Caller;
  /** The client's address; absent where it is not known. */
  readonly client: string | undefined;
  /** When the pipeline took the request up; milliseconds since the epoch. */
  readonly now: number;
}
