import type { Content } from '../../api/content.js';
import type { Entry } from '../../api/entry-index.js';
import type { ArtifactResource, DocumentResource } from '../request/resource.js';
import { bareMediaType } from '../store/content.js';

const PAGE_TYPES = new Set(['text/html', 'application/xhtml+xml']);
/** Names of what is a page, or may be one: no suffix at all, a directory, a script. */
const PAGE_NAME = /\.(?:x?html?|shtml|php|aspx?|jsp|cgi)$/i;
/** Names of what no browser shows as a page: archives, packages, programs, sums, signatures, data. */
const FILE_NAME =
  /\.(?:tgz|tbz|txz|tar|gz|bz2|xz|zst|lz4?|br|zip|7z|rar|whl|egg|jar|war|ear|aar|pom|module|gem|crate|nupkg|snupkg|vsix|conda|deb|udeb|dsc|d?rpm|apk|ipa|dmg|pkg|exe|msi|cab|iso|img|qcow2|vhdx?|vmdk|ova|bin|so|dll|dylib|wasm|sha\d{1,3}|md5|sums?|sig|asc|gpg|pgp|pem|crt|cer|key|prov|json|ya?ml|toml|csv|tsv|txt|sqlite|db|pdf|png|jpe?g|gif|webp|ico|js|mjs|cjs|css|map|ttf|otf|woff2?|mp[34]|safetensors|gguf|onnx|parquet)$|(?:^|\/)(?:[A-Z\d]*SUMS?|InRelease|Release|Packages|Sources)$/;
/** The part of a body that tells whether it is a page. Bytes. */
const LOOKED_AT = 1024;
const BEGINS_AS_PAGE =
  /^\s*(?:<\?xml[^>]{0,200}>\s*|<!--[^>]{0,500}-->\s*)?<(?:!doctype html|html|head|body|title|meta|script|form)\b/i;

/** Meanings of an HTML page in place of a body. */
export type PageDoubt =
  /** It is not what was asked for: an outage. */
  | 'refused'
  /** It may be what was asked for. It goes to those who ask, and is not kept for ever. */
  | 'not-kept';

/** Whether `mediaType` is that of a page. */
export function isPage(mediaType: string): boolean {
  return PAGE_TYPES.has(bareMediaType(mediaType));
}

/**
 * Classifies an HTML page in place of the body of `resource`. Captive portals answer every request with one (200) until
 * a user logs in. `undefined`: a page is a valid body, or is told apart elsewhere.
 * @param isPromised whether the bytes are compared with a checksum
 */
export function pageDoubt(
  resource: ArtifactResource | DocumentResource,
  mediaType: string,
  kept: Entry | undefined,
  isPromised: boolean,
): PageDoubt | undefined {
  if (isPromised || !isPage(mediaType) || resource.expectedMediaTypes !== undefined) return undefined;
  if (resource.isRendered) return undefined;
  if (namesFile(resource) || (kept !== undefined && !isPage(kept.mediaType))) return 'refused';
  const { upstreamPath } = resource;
  const path = upstreamPath.split('?', 1)[0] as string;
  const mayBePage = path === '' || path.endsWith('/') || PAGE_NAME.test(path);
  return resource.kind === 'artifact' && !mayBePage ? 'not-kept' : undefined;
}

/** Whether `resource` has the name of something that is no page. */
export function namesFile(resource: ArtifactResource | DocumentResource): boolean {
  const path = resource.upstreamPath.split('?', 1)[0] as string;
  return FILE_NAME.test(resource.kind === 'artifact' ? resource.filename : path);
}

/** Whether the bytes are a page. Servers that know no type for a file may call it one. */
export async function beginsAsPage(bytes: AsyncIterable<Uint8Array> | Content): Promise<boolean> {
  let head = Buffer.alloc(0);
  for await (const part of 'stream' in bytes ? bytes.stream() : bytes) {
    head = Buffer.concat([head, part]);
    if (head.length >= LOOKED_AT) break;
  }
  return BEGINS_AS_PAGE.test(head.subarray(0, LOOKED_AT).toString('utf8'));
}
