import type { Content } from '../../api/content.js';
import type { Digest } from '../../api/digest.js';
import { EntrepotError, printableUrl } from '../../api/errors.js';
import { integrityMismatch, type Integrity } from '../../api/integrity.js';
import type { VerifyContext } from '../../plugin/classes.js';
import { noteParts } from '../policy/evaluation.js';
import { bareMediaType, isOfType } from '../store/content.js';
import { drain } from '../upstream/upstream-reply.js';
import type { UpstreamReply } from '../upstream/query.js';
import { undone } from './content-coding.js';
import { readDocument, type Reading } from './known-descriptions.js';
import { beginsAsPage } from './login-page.js';
import type { FlightContext, Stored } from './shared-flight.js';
import { isPromised, mismatchOf, type Sums } from './sums.js';

/** The checks of a fetched body: its media type, its promises, the plugin's own. */
export class Verification {
  readonly #context: FlightContext;
  readonly #resource: Stored;

  constructor(context: FlightContext, resource: Stored) {
    this.#context = context;
    this.#resource = resource;
  }

  /** @throws EntrepotError `upstream-unavailable` with the code `UPSTREAM_MEDIA_TYPE` */
  requireMediaType(mediaType: string, reply: UpstreamReply): void {
    const expected = this.#resource.expectedMediaTypes;
    const found = bareMediaType(mediaType);
    if (expected === undefined || expected.some((type) => isOfType(found, type))) return;
    drain(reply);
    throw new EntrepotError(
      'upstream-unavailable',
      `${printableUrl(reply.url)} sent ${found}; expected ${expected.join(' or ')}`,
      { code: 'UPSTREAM_MEDIA_TYPE' },
    );
  }

  /** Whether the body is a page of HTML. */
  async isPage({ headers }: UpstreamReply, content: Content): Promise<boolean> {
    const bytes = content.stream() as AsyncIterable<Buffer>;
    // Also where its coding is passed on.
    return await beginsAsPage(undone(bytes, headers['content-encoding'] ?? ''));
  }

  /** Finds what the bytes are instead of what was promised of them, or of a part of them. */
  async mismatch(promised: readonly Integrity[], sums: Sums, content: Content): Promise<Integrity | undefined> {
    const mismatch = mismatchOf(promised, sums);
    return mismatch !== undefined && (await this.#isNamedByPart(promised, content)) ? undefined : mismatch;
  }

  /** Whether the promise is about a part of the bytes, and that part keeps it. */
  async #isNamedByPart(promised: readonly Integrity[], content: Content): Promise<boolean> {
    const part = await this.#resource.digestedPart(content);
    return part !== undefined && (await isPromised(promised, [part]));
  }

  /** Notes a broken promise, and makes the error that says so. */
  brokenPromise(promised: readonly Integrity[], found: Integrity): EntrepotError {
    const { definition, services } = this.#context;
    const { key } = this.#resource;
    const error = integrityMismatch(key, promised, found);
    services.observer?.integrityFailed(definition.name);
    services.logger.error({ repository: definition.name, key, reason: error.message }, 'integrity mismatch');
    return error;
  }

  /**
   * Calls the plugin's own checks.
   * @returns the parsed document
   */
  async callHooks(digest: Digest, content: Content, context: VerifyContext): Promise<Reading | undefined> {
    const resource = this.#resource;
    const { definition, services } = this.#context;
    let reading: Reading | undefined;
    if (resource.kind === 'artifact') await resource.verify(content, context);
    else if (resource.isParsed)
      reading = await readDocument(resource, content, context, { folder: services.storage.tables, digest });
    if (resource.hasParts && context.needs.has('publishedAt'))
      noteParts(definition, services, resource, digest, await resource.partsOf(content));
    return reading;
  }
}

/** The error for a page of HTML in place of a file. */
export function sentPage({ url, headers }: UpstreamReply): EntrepotError {
  return new EntrepotError(
    'upstream-unavailable',
    `${printableUrl(url)} sent a page (${headers['content-type']}) in place of the file, as networks do that want a login`,
    { code: 'UPSTREAM_PAGE' },
  );
}
