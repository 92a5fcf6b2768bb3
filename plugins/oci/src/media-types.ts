/**
 * Media types of manifests, newest first. The list for the upstream is fixed: the manifest of a tag must not depend on
 * who asks first.
 */
export const MANIFEST_TYPES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.oci.artifact.manifest.v1+json',
];

export const MANIFEST_ACCEPT = MANIFEST_TYPES.join(', ');
/** Not HTML: that is a captive portal, or a login page. Unknown types of manifests are passed on. */
export const EXPECTED_MANIFEST_TYPES = ['application/*', 'text/plain'];
export const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json';
/** The types of indexes: lists of images, one for each platform. */
export const INDEX_TYPES: readonly string[] = [INDEX_TYPE, 'application/vnd.docker.distribution.manifest.list.v2+json'];
export const BLOB_TYPE = 'application/octet-stream';

/** Layers that the registry need not have: they come from elsewhere. */
export function isForeign(mediaType: string): boolean {
  return mediaType.includes('.nondistributable.') || mediaType.includes('.foreign.');
}

/** A media type without parameters (RFC 6838 §4.2), and nothing else: it is said in a header. */
export function isMediaType(text: string): boolean {
  return /^[a-z0-9][a-z0-9!#$&^_.+-]{0,126}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$/i.test(text);
}

/** The header by which registries name the digest of what they send. */
export const DIGEST_HEADER = 'Docker-Content-Digest';

/** Writes an image index (OCI image specification, "Image Index"). */
export function imageIndex(manifests: readonly unknown[]): string {
  return JSON.stringify({ schemaVersion: 2, mediaType: INDEX_TYPE, manifests });
}
