import type { Digest } from '../../api/digest.js';
import type { Entry } from '../../api/entry-index.js';
import type { Integrity } from '../../api/integrity.js';
import { isPinned } from '../store/pinned-name.js';
import type { UpstreamReply } from '../upstream/query.js';
import { planCoding } from './content-coding.js';
import { keptHeaders, sumHeaders } from './kept-headers.js';
import { pageDoubt, type PageDoubt } from './login-page.js';
import { isUnsettled } from './media-type.js';
import { promisedBy } from './pinned-document.js';
import type { Stored } from './shared-flight.js';
import { contentLength } from './transfer.js';

/** The treatment of a body, by the head of its reply. */
export interface Incoming {
  readonly promised: readonly Integrity[];
  /** The digest, where the ecosystem promised just that. */
  readonly digest: Digest | undefined;
  /** The `Content-Type` of the reply. */
  readonly said: string | undefined;
  /** The media type until the bytes are known. */
  readonly provisional: string;
  /** Whether the bytes may turn out to be of another media type. */
  readonly unsettled: boolean;
  /** The content coding that is undone on the way in. */
  readonly undo: string | undefined;
  /** The content coding of which the promise tells whether it is undone. */
  readonly weighed: string | undefined;
  /** Bytes, where the upstream says that. */
  readonly size: number | undefined;
  /** The headers that are kept. */
  readonly headers: Readonly<Record<string, string>>;
  readonly doubt: PageDoubt | undefined;
}

/** Decides how to treat the body of `reply`. */
export function planIncoming(
  resource: Stored,
  kept: Entry | undefined,
  reply: UpstreamReply,
  asked: readonly Integrity[],
): Incoming {
  const promised =
    isPinned(resource) && asked.length === 0 ? promisedBy(reply.headers[resource.pinned.digestHeader]) : asked;
  const sha256 = promised.find(({ algorithm }) => algorithm === 'sha256');
  const said = reply.headers['content-type'];
  const provisional = said ?? resource.fallbackMediaType ?? 'application/octet-stream';
  const coding = planCoding(resource, reply, promised);
  const undo = coding.kind === 'undo' ? coding.coding : undefined;
  return {
    promised,
    digest: sha256 && `sha256:${sha256.hex}`,
    said,
    provisional,
    unsettled: isUnsettled(resource, said),
    undo,
    weighed: coding.kind === 'weigh' ? coding.coding : undefined,
    size: undo === undefined ? contentLength(reply) : undefined,
    headers: {
      ...keptHeaders(resource, reply.headers),
      // What is promised is checked before the bytes are complete.
      ...sumHeaders(
        resource,
        promised.map(({ algorithm, hex }) => [algorithm, hex]),
      ),
      ...(coding.kind === 'pass' && { 'content-encoding': coding.coding }),
    },
    doubt: pageDoubt(resource, provisional, kept, promised.length > 0),
  };
}
