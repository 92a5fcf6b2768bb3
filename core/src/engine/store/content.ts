import type { Content } from '../../api/content.js';
import { EntrepotError } from '../../api/errors.js';

/** `Content` over anything that can be read from the start more than once. */
export function contentOf(
  size: number,
  mediaType: string,
  read: () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  path?: string,
): Content {
  return {
    size,
    path,
    mediaType: bareMediaType(mediaType),
    stream: () => asyncIterable(read()),
    async bytes(limit) {
      if (size > limit)
        throw new EntrepotError('too-large', `The content has ${size} bytes; expected ${limit} at most`);
      const parts: Uint8Array[] = [];
      for await (const part of read()) parts.push(part);
      return Buffer.concat(parts);
    },
  };
}

/** A media type in lower case, without its parameters. */
export function bareMediaType(mediaType: string): string {
  const end = mediaType.indexOf(';');
  return (end < 0 ? mediaType : mediaType.slice(0, end)).trim().toLowerCase();
}

/** Whether a bare media type is `type`, which may be a range: `application/*`. */
export function isOfType(mediaType: string, type: string): boolean {
  return mediaType === type || (type.endsWith('/*') && mediaType.startsWith(type.slice(0, -1)));
}

async function* asyncIterable(parts: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* parts;
}
