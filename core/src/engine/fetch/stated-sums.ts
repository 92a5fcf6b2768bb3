import { parseHex, type Integrity } from '../../api/integrity.js';
import type { UpstreamReply } from '../upstream/query.js';
import type { Stored } from './shared-flight.js';

/** Sums of bytes that upstreams state in headers of their replies, in place of a document. */
export class StatedSums {
  /** Scopes whose upstream stated none in its last reply. */
  readonly #silent = new Set<string>();

  /**
   * Whether the reply is waited for before a document is asked: it is likely to state a sum. Where the last one did not, both are asked for
   * at the same time.
   */
  areExpected({ promisedInHeaders: headers, upstreamScope }: Stored): boolean {
    return Object.keys(headers).length > 0 && !this.#silent.has(upstreamScope ?? '');
  }

  /** Reads the sum that a reply states of its body: that of the first header which has one. Empty: none does. */
  read(
    { promisedInHeaders: headers, upstreamScope = '' }: Stored,
    reply: Pick<UpstreamReply, 'headers'>,
  ): readonly Integrity[] {
    for (const [name, algorithm] of Object.entries(headers)) {
      const stated = parseHex(algorithm, reply.headers[name] ?? '');
      if (stated === undefined) continue;
      this.#silent.delete(upstreamScope);
      return [stated];
    }
    this.#silent.add(upstreamScope);
    return [];
  }
}
