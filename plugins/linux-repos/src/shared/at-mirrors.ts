import { createHash } from 'node:crypto';
import {
  EntrepotError,
  type Content,
  type ProduceContext,
  type ReadContent,
  type Resource,
  type VerifyContext,
} from '@entrepot/core';
import { malformed } from '@entrepot/core/formats';
import { requireOpenPgp } from './detached.js';
import { requireInTime } from './age.js';
import type { ListedFile, Listing, Taken } from './format.js';
import type { RepositoryProxy } from './proxy.js';
import { index, upstreamPath } from './resources.js';

/** A pointer document as a mirror has it now. */
export function atUpstream(
  self: RepositoryProxy,
  root: string,
  name: string,
  { cached = false, of }: { cached?: boolean; of?: string | undefined } = {},
): Resource {
  const path = self.format.pathOf(root, name);
  const attributes = { root, name, cached, of };
  const isList = self.format.read === undefined && self.format.mains(root).includes(name);
  const kind = isList ? 'upstreamList' : 'upstream';
  return self.placed({
    class: kind,
    key: `upstream/${path}${of === undefined ? '' : ` ${of}`}`,
    path: upstreamPath(path),
    attributes,
  });
}

/** Takes a document that a mirror has now. @param of of a signature: the SHA-256 of the document that it signs; of a main document: its sums in a list of mirrors */
export async function take(
  self: RepositoryProxy,
  root: string,
  name: string,
  context: ProduceContext,
  of?: string,
): Promise<Taken | undefined> {
  try {
    const content = await readFrom(self, root, name, context, of);
    const hash = createHash('sha256');
    for await (const piece of content.stream()) hash.update(piece);
    return {
      name,
      sha256: hash.digest('hex'),
      size: content.size,
      headers: content.headers,
      bytes: () => content.bytes(self.format.largestPointer),
      of,
    };
  } catch (error) {
    if (error instanceof EntrepotError && error.kind === 'not-found') return undefined;
    throw error;
  }
}

async function readFrom(
  self: RepositoryProxy,
  root: string,
  name: string,
  { read }: ProduceContext,
  of: string | undefined,
): Promise<ReadContent> {
  // A signature that was verified with its document is here; mirrors may have replaced it by now.
  if (of !== undefined && self.format.isSignature(name) && self.signatures.isChecking) {
    try {
      return await read(atUpstream(self, root, name, { cached: true, of }));
    } catch (error) {
      if (!(error instanceof EntrepotError && error.kind === 'not-found')) throw error;
    }
  }
  return await read(atUpstream(self, root, name, { of }));
}

/** Leaves out a document beside the main one whose mirror fails. @throws other errors */
export function leftOut(error: unknown): undefined {
  if (error instanceof EntrepotError && error.staleAllowed) return undefined;
  throw error;
}

/** Checks a pointer document of a mirror. @throws EntrepotError `upstream-unavailable` for one that is not taken */
export async function verifyPointer(
  { attributes }: Resource,
  content: Pick<Content, 'bytes' | 'stream'>,
  context: Pick<VerifyContext, 'read' | 'headers'>,
  self: RepositoryProxy,
): Promise<void> {
  const { root, name, of } = attributes as { root: string; name: string; of?: string };
  const { format, signatures } = self;
  if (format.isKey?.(name) === true)
    return requireOpenPgp(await content.bytes(LARGEST_SIGNATURE), name, 'PUBLIC KEY BLOCK');
  if (format.isSignature(name)) {
    const bytes = await content.bytes(LARGEST_SIGNATURE);
    requireOpenPgp(bytes, name, 'SIGNATURE');
    if (!signatures.isChecking || of === undefined) return;
    const signed = self.beingSigned.find(root, of);
    return await signatures.check(await signed.bytes(), signed.name, bytes);
  }
  const bytes = () => content.bytes(format.largestPointer);
  const isMain = format.mains(root).includes(name);
  const listing = isMain ? format.read?.(await bytes(), name) : undefined;
  if (listing !== undefined) await self.mirrorLists?.check(root, name, await bytes(), context.read);
  const { headers } = context;
  if (isMain) await requireInTime({ listing, headers, stream: () => content.stream() }, root, name, self);
  const signature = format.signatureOf(name);
  if (signatures.isChecking && signature !== undefined) {
    const whole = await bytes();
    const detached =
      signature === 'within' ? undefined : await signatureOf(whole, name, root, signature.detached, context, self);
    await signatures.check(whole, name, detached);
  }
  if (listing !== undefined) await requireNeeded(listing, root, context, self);
}

/** @throws EntrepotError `upstream-unavailable` for a main document whose index files no mirror has */
async function requireNeeded(
  listing: Listing,
  root: string,
  { read }: { read(resource: Resource): Promise<ReadContent> },
  self: RepositoryProxy,
): Promise<void> {
  const { format } = self;
  for (const path of format.needed?.(listing) ?? []) {
    const file = listing.files.get(path) as ListedFile;
    try {
      await read(self.placed(index(format, root, path, file, listing)));
    } catch (error) {
      throw notAsListed(format.pathOf(root, path), error);
    }
  }
}

/** The detached signature of a document: of the first mirror that has one that fits. `undefined`: no mirror has one. */
async function signatureOf(
  bytes: Uint8Array,
  name: string,
  root: string,
  detached: string,
  { read }: { read(resource: Resource): Promise<ReadContent> },
  self: RepositoryProxy,
): Promise<Uint8Array | undefined> {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  try {
    return await self.beingSigned.during(
      root,
      { name, sha256, size: bytes.length, headers: {}, bytes: () => Promise.resolve(bytes) },
      async () => {
        const content = await read(atUpstream(self, root, detached, { of: sha256 }));
        return await content.bytes(LARGEST_SIGNATURE);
      },
    );
  } catch (error) {
    if (error instanceof EntrepotError && error.kind === 'not-found') return undefined;
    throw error;
  }
}

/** The largest detached signature, and the largest keys, in bytes. */
const LARGEST_SIGNATURE = 1024 * 1024;

/** The error for a file that is not what a main document says. */
export function notAsListed(path: string, cause: unknown): EntrepotError {
  return malformed(path, 'it is not as its repository lists it: the mirror is being changed', cause);
}
