import type { Entry } from '../../api/entry-index.js';
import type { StoredResource } from '../request/resource.js';
import { mergeHeaders } from '../request/merge-headers.js';

/** The digest of a document that is not there. */
export const NO_DOCUMENT = 'none';

/** Merges the kept headers with those that the resource and the protocol want instead or besides. */
export function headersOf(
  { replyHeaders, digestHeader }: Pick<StoredResource, 'replyHeaders' | 'digestHeader'>,
  { headers: kept, digest }: { readonly headers: Entry['headers']; readonly digest?: string | undefined },
  rendered: Readonly<Record<string, string>> | undefined,
): Readonly<Record<string, string>> {
  // The kept headers may name the bytes by another algorithm.
  const named =
    digestHeader !== undefined &&
    digest !== undefined &&
    digest !== NO_DOCUMENT &&
    kept[digestHeader.toLowerCase()] === undefined;
  if (rendered === undefined && replyHeaders === undefined && !named) return kept;
  const own = mergeHeaders(rendered, named ? { [digestHeader]: digest } : undefined, replyHeaders);
  const merged = mergeHeaders(own, kept, own);
  return Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== ''));
}

/** The request headers that a rewritten document differs by. */
export function varyOf({ vary = [] }: Pick<StoredResource, 'vary'>): string {
  return [...vary, 'Accept-Encoding'].join(', ');
}
