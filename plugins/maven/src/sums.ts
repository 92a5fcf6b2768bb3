import { createHash } from 'node:crypto';
import type { Content, RenderedDocument } from '@entrepot/core';
import type { SumName } from './layout.js';

/** Headers that tell sums, for clients that ask for no sidecar then. */
export const SUM_HEADERS = { sha1: 'X-Checksum-SHA1', sha256: 'X-Checksum-SHA256' } as const;

/** The most of a sidecar that is read. */
export const LARGEST_SIDECAR = 8 * 1024;

/** Computes sums of a body, in hex. */
export async function sumsOf<Name extends SumName>(
  names: readonly Name[],
  { stream }: Pick<Content, 'stream'>,
): Promise<Readonly<Record<Name, string>>> {
  const hashes = names.map((name) => [name, createHash(name)] as const);
  for await (const bytes of stream()) for (const [, hash] of hashes) hash.update(bytes);
  return Object.fromEntries(hashes.map(([name, hash]) => [name, hash.digest('hex')])) as Record<Name, string>;
}

/** Finds the sum in a sidecar: bare, or beside the name of its file, as several tools write it. `undefined`: it has none. */
export async function readSidecar(name: SumName, content: Pick<Content, 'bytes'>): Promise<string | undefined> {
  const words = new TextDecoder().decode(await content.bytes(LARGEST_SIDECAR)).split(/[\s=:*()]+/);
  const length = SUM_LENGTH[name];
  return words.find((word) => word.length === length && /^[0-9a-f]+$/i.test(word))?.toLowerCase();
}

const SUM_LENGTH = { md5: 32, sha1: 40, sha256: 64, sha512: 128 } as const;

/** A document, or one of its sums: both from the same bytes. */
export function textOrSum(text: string | Uint8Array, sum: SumName | undefined): RenderedDocument {
  const of = (name: SumName): string => createHash(name).update(text).digest('hex');
  if (sum !== undefined) return { bytes: [of(sum)] };
  return { bytes: [text], headers: { [SUM_HEADERS.sha1]: of('sha1'), [SUM_HEADERS.sha256]: of('sha256') } };
}
