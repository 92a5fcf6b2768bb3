import { parseHex, type Integrity } from '@entrepot/core';
import { badRequest } from './errors.js';

/** A repository name of the OCI distribution specification ("Pulling manifests"). */
const NAME = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;
/** Begins paths at the mount that repositories share. */
const SHARED = '/v2/';
/** The longest host and name together that registries accept: no client could pull a longer name. */
const LONGEST_NAME = 255;

/** Whether `name` is the name of a repository. */
export function isName(name: string): boolean {
  return name.length <= LONGEST_NAME && NAME.test(name);
}

/** The repository of ours that names at `baseUrl` begin with: at a mount that repositories share. `undefined`: none. */
export function repositoryIn(baseUrl: string): string | undefined {
  const path = new URL(baseUrl).pathname;
  return path.startsWith(SHARED) && path.length > SHARED.length
    ? path.slice(SHARED.length).replace(/\/$/, '')
    : undefined;
}

/** @throws EntrepotError `bad-request` when `name` is not the name of a repository */
export function requireName(name: string): string {
  if (isName(name)) return name;
  const expected = 'expected lower-case letters and digits, separated by one of . _ - /';
  throw badRequest('NAME_INVALID', `${JSON.stringify(name)} is not a repository name: ${expected}`);
}

/** Whether `text` is a well-formed tag. */
export function isTag(text: string): boolean {
  return TAG.test(text);
}

/** Whether `reference` is meant as a digest. */
export function looksLikeDigest(reference: string): boolean {
  return reference.includes(':');
}

/**
 * The sum that a digest names (OCI image specification, "Digests"): SHA-256 and SHA-512, in lower-case hex.
 * @throws EntrepotError `bad-request` for anything else
 */
export function requireDigest(digest: string): Integrity {
  const [, algorithm, hex = ''] = /^(sha256|sha512):([0-9a-f]+)$/.exec(digest) ?? [];
  const integrity = algorithm === undefined ? undefined : parseHex(algorithm as 'sha256' | 'sha512', hex);
  if (integrity !== undefined) return integrity;
  const expected = 'expected sha256: with 64 or sha512: with 128 lower-case hex digits';
  throw badRequest('DIGEST_INVALID', `${JSON.stringify(digest)} is not a digest: ${expected}`);
}

/**
 * The promise in a reference to a manifest. `undefined` for a tag.
 * @throws EntrepotError `bad-request` when it is neither a tag nor a digest
 */
export function integrityIn(reference: string): readonly Integrity[] | undefined {
  if (looksLikeDigest(reference)) return [requireDigest(reference)];
  if (isTag(reference)) return undefined;
  throw badRequest('TAG_INVALID', `${JSON.stringify(reference)} is neither a tag nor a digest`);
}

export type Endpoint =
  | { readonly kind: 'root' }
  | { readonly kind: 'catalog' }
  | { readonly kind: 'manifest'; readonly name: string; readonly reference: string }
  | { readonly kind: 'blob'; readonly name: string; readonly digest: string }
  | { readonly kind: 'uploads'; readonly name: string }
  | { readonly kind: 'session'; readonly name: string; readonly id: string }
  | { readonly kind: 'tags'; readonly name: string }
  | { readonly kind: 'referrers'; readonly name: string; readonly digest: string };

/**
 * Reads a path. Names may hold the words of the routes (`a/manifests/b`), so it is split at the last of them.
 * @throws EntrepotError `bad-request` when the name is none
 */
export function parseEndpoint(segments: readonly string[]): Endpoint | undefined {
  // A client may have escaped what separates names: `library%2fnginx`.
  const parts = segments.join('/').split('/');
  if (segments.length === 0) return { kind: 'root' };
  if (parts.length === 1 && parts[0] === '_catalog') return { kind: 'catalog' };
  const last = parts.at(-1) as string;
  const word = parts.at(-2);
  const name = (depth: number): string => requireName(parts.slice(0, -depth).join('/'));
  if (word === 'tags' && last === 'list') return { kind: 'tags', name: name(2) };
  if (word === 'manifests') return { kind: 'manifest', name: name(2), reference: last };
  if (word === 'referrers') return { kind: 'referrers', name: name(2), digest: last };
  if (word === 'blobs' && last === 'uploads') return { kind: 'uploads', name: name(2) };
  if (word === 'blobs') return { kind: 'blob', name: name(2), digest: last };
  if (word === 'uploads' && parts.at(-3) === 'blobs') return { kind: 'session', name: name(3), id: last };
  return undefined;
}

/** The keys of entries. Names hold no `:` and no `@`, so no two things have one key, and no prefix is that of another name. */
export const KEY = {
  blob: (name: string, digest: string) => `blob/${name}@${digest}`,
  manifest: (name: string, digest: string) => `manifest/${name}@${digest}`,
  tag: (name: string, tag: string) => `tag/${name}:/${tag}`,
  /** Says that something was pushed under the name. */
  name: (name: string) => `name/${name}`,
  referrer: (name: string, subject: string, digest: string) => `referrer/${name}@${subject}/${digest}`,
};
