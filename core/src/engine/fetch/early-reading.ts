import type { Content } from '../../api/content.js';
import { EntrepotError } from '../../api/errors.js';
import type { VerifyContext } from '../../plugin/classes.js';
import type { DocumentResource } from '../request/resource.js';
import type { Entry } from '../../api/entry-index.js';
import { bareMediaType } from '../store/content.js';
import type { Spool } from '../store/spool.js';
import type { Flight } from './flight.js';
import type { Incoming } from './incoming.js';
import { isTabled, readDocument, TABLED_BYTES, type Reading } from './known-descriptions.js';
import type { FetchPlan } from './publication.js';

/** A document up to this size is whole before a client would have its first bytes. Bytes. */
const LARGE_DOCUMENT = 512 * 1024;

/** A body that is coming, and its treatment. */
type Arriving = Incoming & { readonly spool: Spool };

/**
 * Reads a document while it arrives, and tells its flight as soon as it can be rendered.
 * @returns `undefined`, at once or later, where it is read when it is here: it is small, so large that it is read as
 * rows, or its body began anew
 */
export function readEarly(
  plan: FetchPlan,
  flight: Flight,
  arriving: Arriving,
  context: VerifyContext,
): Promise<Reading | undefined> | undefined {
  const { resource } = plan;
  if (resource.kind !== 'document' || !mayReadEarly(resource, plan.kept, arriving)) return undefined;
  const { spool } = arriving;
  const content = arrivingContent(spool, arriving.provisional, resource.tabled === 'large' ? TABLED_BYTES : Infinity);
  const read = async (): Promise<Reading | undefined> => {
    if (!(await spool.exceeds(LARGE_DOCUMENT))) return undefined;
    const { rewinds } = spool;
    try {
      return await readDocument(resource, content, {
        ...context,
        arriving: (parsed) => flight.letArrive({ parsed, content }),
      });
    } catch (error) {
      if (spool.rewinds > rewinds || isTabled(resource, spool.size)) return undefined;
      throw error;
    }
  };
  const reading = read();
  // The rest of what is wrong is not waited for, and nobody joins it.
  reading.catch((error: EntrepotError) => flight.abort(error));
  return reading;
}

/** Whether a document is large and new, and nothing else has to be known of it first. */
function mayReadEarly(
  document: DocumentResource,
  kept: Entry | undefined,
  { doubt, promised, size = Infinity, unsettled, weighed }: Incoming,
): boolean {
  const isSettled = doubt === undefined && weighed === undefined && !unsettled && promised.length === 0;
  const { hasParts, isParsed, isRendered, tabled } = document;
  // One of unknown size is read as rows once it turns out to be so large.
  const mayBeParsed = size === Infinity ? tabled !== 'always' : !isTabled(document, size);
  const isNew = kept === undefined && size > LARGE_DOCUMENT;
  return isRendered && isParsed && mayBeParsed && isSettled && isNew && !hasParts;
}

/** The content of a spool that is still written to; reading it fails once it has `limit` bytes. */
function arrivingContent(spool: Spool, mediaType: string, limit: number): Content {
  async function* stream(): AsyncGenerator<Uint8Array> {
    let size = 0;
    for await (const part of spool.followToVerify() as AsyncIterable<Uint8Array>) {
      size += part.length;
      if (size >= limit) throw new EntrepotError('too-large', `The content has ${limit} bytes or more`);
      yield part;
    }
  }
  return {
    get size() {
      return spool.size;
    },
    mediaType: bareMediaType(mediaType),
    stream,
    async bytes(most) {
      const parts: Uint8Array[] = [];
      let size = 0;
      for await (const part of stream()) {
        size += part.length;
        if (size > most) throw new EntrepotError('too-large', `The content has more than ${most} bytes`);
        parts.push(part);
      }
      return Buffer.concat(parts);
    },
  };
}
