import type { Entry } from '../../api/entry-index.js';
import type { ArtifactResource, DocumentResource } from '../request/resource.js';
import { mergeHeaders } from '../request/merge-headers.js';

/** The digest of a document that is not there. */
export const NO_DOCUMENT = 'none';

/** Merges the kept headers with those that the resource and the protocol want instead or besides. */
export function headersOf(
  resource: ArtifactResource | DocumentResource,
  { headers: kept, digest }: { readonly headers: Entry['headers']; readonly digest?: string | undefined },
  rendered: Readonly<Record<string, string>> | undefined,
): Readonly<Record<string, string>> {
  const { replyHeaders, digestHeader } = resource;
  const attached =
    resource.kind === 'artifact' && resource.attachment === true && kept['content-disposition'] === undefined;
  // The kept headers may name the bytes by another algorithm.
  const named =
    digestHeader !== undefined &&
    digest !== undefined &&
    digest !== NO_DOCUMENT &&
    kept[digestHeader.toLowerCase()] === undefined;
  if (!attached && rendered === undefined && replyHeaders === undefined && !named) return kept;
  const own = mergeHeaders(
    attached
      ? { 'content-disposition': `attachment; filename*=UTF-8''${encodeURIComponent(resource.filename)}` }
      : undefined,
    rendered,
    named ? { [digestHeader]: digest } : undefined,
    replyHeaders,
  );
  const merged = mergeHeaders(own, kept, own);
  return Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== ''));
}

/** The request headers that a rewritten document differs by. */
export function varyOf({ vary = [] }: DocumentResource): string {
  return [...vary, 'Accept-Encoding'].join(', ');
}
