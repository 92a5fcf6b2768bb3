import type { Content } from '../../api/content.js';
import { asEntrepotError, EntrepotError } from '../../api/errors.js';
import type { EngineProtocol, HookContext } from '../request/protocol.js';
import { bareMediaType } from '../store/content.js';
import type { Spool } from '../store/spool.js';
import type { Flight } from './flight.js';
import type { Incoming } from './incoming.js';
import { readDescriptions, type Reading } from './known-descriptions.js';
import type { FetchPlan } from './publication.js';
import type { FlightContext } from './shared-flight.js';

/** A document up to this size is whole before a client would have its first bytes. Bytes. */
const LARGE_DOCUMENT = 512 * 1024;

/** A body that is coming, and its treatment. */
type Arriving = Incoming & { readonly spool: Spool };

/**
 * Reads a document while it arrives, and tells its flight as soon as it can be rendered.
 * @returns `undefined`, at once or later, where it is read when it is here: it is small, or its body began anew
 */
export function readEarly(
  { definition }: FlightContext,
  plan: FetchPlan,
  flight: Flight,
  arriving: Arriving,
  context: HookContext,
): Promise<Reading | undefined> | undefined {
  const { resource } = plan;
  if (resource.kind !== 'document' || !mayReadEarly(definition.protocol, plan, arriving)) return undefined;
  const { spool } = arriving;
  const content = arrivingContent(spool, arriving.provisional);
  const read = async (): Promise<Reading | undefined> => {
    if (!(await spool.exceeds(LARGE_DOCUMENT))) return undefined;
    const { rewinds } = spool;
    try {
      return await readDescriptions(definition.protocol, resource, content, {
        ...context,
        arriving: (descriptions) => flight.letArrive({ descriptions, content }),
      });
    } catch (error) {
      if (spool.rewinds > rewinds) return undefined;
      throw asEntrepotError(error, 'plugin', `describe of plugin ${definition.plugin.id} failed`);
    }
  };
  const reading = read();
  // Whoever waits for the body hears of it first.
  reading.catch(() => {});
  return reading;
}

/** Whether a document is large and new, and nothing else has to be known of it first. */
function mayReadEarly(
  { describe, partsOf }: EngineProtocol,
  { resource, kept }: FetchPlan,
  { doubt, promised, size = Infinity, unsettled, weighed }: Incoming,
): boolean {
  const isRendered = resource.kind === 'document' && resource.rewritten === true && describe !== undefined;
  const isSettled = doubt === undefined && weighed === undefined && !unsettled && promised.length === 0;
  return isRendered && isSettled && kept === undefined && partsOf === undefined && size > LARGE_DOCUMENT;
}

/** The content of a spool that is still written to. */
function arrivingContent(spool: Spool, mediaType: string): Content {
  return {
    get size() {
      return spool.size;
    },
    mediaType: bareMediaType(mediaType),
    stream: () => spool.followToVerify(),
    async bytes(limit) {
      const parts: Uint8Array[] = [];
      let size = 0;
      for await (const part of spool.followToVerify() as AsyncIterable<Uint8Array>) {
        size += part.length;
        if (size > limit) throw new EntrepotError('too-large', `The content has more than ${limit} bytes`);
        parts.push(part);
      }
      return Buffer.concat(parts);
    },
  };
}
