import type { Content, RequestHead } from '@entrepot/core';
import { EntrepotError } from '@entrepot/core';

/** `text` as stored bytes that arrive in pieces of `pieceSize`. */
export function contentOf(text: string | Buffer, pieceSize = Infinity): Content {
  const bytes = Buffer.from(text);
  return {
    size: bytes.length,
    mediaType: 'application/json',
    async *stream() {
      for (let at = 0; at < bytes.length; at += pieceSize)
        yield bytes.subarray(at, Math.min(bytes.length, at + pieceSize));
    },
    async bytes(limit) {
      if (bytes.length > limit) throw new EntrepotError('too-large', 'too large');
      return bytes;
    },
  };
}

/** A request for `path`, split and decoded once as core does it. */
export function request(
  path: string,
  { method = 'GET', accept }: { method?: string; accept?: string } = {},
): RequestHead {
  const [pathname = '', query = ''] = path.split('?');
  const segments = pathname.split('/').slice(1);
  const trailingSlash = segments.at(-1) === '';
  return {
    method,
    segments: (trailingSlash ? segments.slice(0, -1) : segments).map(decodeURIComponent),
    trailingSlash,
    query: new URLSearchParams(query),
    rawQuery: query,
    header: (name) => (name === 'accept' ? accept : undefined),
  };
}
