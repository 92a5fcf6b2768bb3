import { EntrepotError } from '../../api/errors.js';
import type { RepositoryLimits } from '../store/repository.js';
import { undone } from './content-coding.js';
import type { Stored } from './shared-flight.js';

/** A coded body may unfold to so many times its bytes, beyond the size of a document: what grows more was made to fill the disk. */
const MOST_GROWTH = 100;

/** Bounds of the body of one resource. */
export class BodyBounds {
  readonly #key: string;
  readonly #most: number;
  readonly #maxDocumentBytes: number;

  constructor(
    { maxArtifactBytes, maxDocumentBytes }: RepositoryLimits,
    resource: Pick<Stored, 'key' | 'isRendered'> & Pick<Partial<Stored>, 'maxBytes'>,
  ) {
    this.#key = resource.key;
    this.#maxDocumentBytes = maxDocumentBytes;
    // A document that is passed on as it is is never held whole either.
    const configured = resource.isRendered ? maxDocumentBytes : maxArtifactBytes;
    this.#most = Math.min(configured, resource.maxBytes ?? Infinity);
  }

  /**
   * @param raw the bytes of a coded body so far, which `size` was decoded from
   * @throws EntrepotError `upstream-unavailable` with the code `UPSTREAM_TOO_LARGE`
   */
  check(size: number, raw = Infinity): void {
    const limit = Math.min(this.#most, Math.max(this.#maxDocumentBytes, MOST_GROWTH * raw));
    if (size <= limit) return;
    throw new EntrepotError(
      'upstream-unavailable',
      `${this.#key} has more than the ${limit} bytes that are taken of it`,
      { code: 'UPSTREAM_TOO_LARGE' },
    );
  }

  /** Decodes `body`. It is bounded on both sides of the decoder: not all that comes becomes one of its bytes. */
  async *decoded(body: AsyncIterable<Buffer>, coding: string): AsyncGenerator<Buffer> {
    let raw = 0;
    let size = 0;
    const counted = async function* (check: (raw: number) => void): AsyncGenerator<Buffer> {
      for await (const bytes of body) {
        raw += bytes.length;
        check(raw);
        yield bytes;
      }
    };
    for await (const bytes of undone(
      counted((found) => this.check(found)),
      coding,
    )) {
      size += bytes.length;
      this.check(size, raw);
      yield bytes;
    }
  }
}
