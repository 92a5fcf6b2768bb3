import { requireMethod, type Content, type LocalReply, type Parsed, type RequestHead } from '@entrepot/core';
import { isRecord, malformed, parseBoundedJson, textOf } from '@entrepot/core/formats';
import { indexFolder } from './crate-name.js';

/** The largest `config.json`, in bytes. */
export const LARGEST_CONFIG = 64 * 1024;
export const JSON_TYPE = 'application/json';

const MARKERS = /\{(crate|version|prefix|lowerprefix|sha256-checksum)\}/g;

/** Contents of the `config.json` of an upstream. */
export interface RegistryConfig extends Parsed {
  /** The template of the URLs of crates. */
  readonly dl: string;
}

/** A crate, as the template of its URL wants it. */
export interface CratePlace {
  readonly name: string;
  readonly version: string;
  readonly sha256: string;
}

/** @throws EntrepotError `upstream-unavailable` for what is no `config.json` */
export async function parseConfig(content: Content): Promise<RegistryConfig> {
  let fields: unknown;
  try {
    fields = parseBoundedJson(await content.bytes(LARGEST_CONFIG));
  } catch (error) {
    throw malformed('config.json', 'it is not a JSON object', error);
  }
  const dl = isRecord(fields) ? textOf(fields['dl']) : undefined;
  const { protocol } = URL.parse(dl ?? '') ?? {};
  if (dl === undefined || (protocol !== 'https:' && protocol !== 'http:'))
    throw malformed('config.json', 'expected an http or https URL as "dl"');
  return { weight: 2 * content.size, dl };
}

/** The URL of a crate by the template of its registry (The Cargo Book, "Index Format", "Index configuration"). */
export function crateUrl(dl: string, { name, version, sha256 }: CratePlace): string {
  const encoded = encodeURIComponent(version);
  const folder = indexFolder(name);
  const values: Readonly<Record<string, string>> = {
    crate: name,
    version: encoded,
    prefix: folder,
    lowerprefix: folder.toLowerCase(),
    'sha256-checksum': sha256,
  };
  const url = dl.replace(MARKERS, (_, marker: string) => values[marker] as string);
  return url === dl ? `${dl}/${name}/${encoded}/download` : url;
}

/** Prints the `config.json` of a repository here. */
export function printConfig(baseUrl: string, isGuarded: boolean): string {
  return JSON.stringify({
    dl: `${baseUrl}/api/v1/crates/{crate}/{version}/{sha256-checksum}/download`,
    api: baseUrl,
    ...(isGuarded && { 'auth-required': true }),
  });
}

/**
 * Whether a client sends a token with its request for `config.json`. Cargo first asks without one: where that is enough, nothing
 * else needs one to be read.
 */
export function sendsToken({ header }: RequestHead): boolean {
  return header('authorization') !== undefined;
}

/** Tells the readers of `cargo login` what a token is. */
export function loginPage(head: RequestHead): LocalReply {
  requireMethod(head, ['GET']);
  const body =
    'A token for cargo is "user:password" of a user of this repository, or a token that this server issues (/-/token).\n' +
    'Paste it to `cargo login --registry NAME`.\n';
  return { status: 200, headers: { 'Content-Type': 'text/plain; charset=utf-8' }, body };
}
