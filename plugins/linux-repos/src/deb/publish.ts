import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EntrepotError, type ProduceContext, type ProducedFile, type ReadContent, type Resource } from '@entrepot/core';
import { malformed } from '@entrepot/core/formats';
import { printGenerations, readGenerations, withGeneration, type Generation } from '../shared/generations.js';
import type { DebProxy } from './proxy.js';
import { index, pointer } from './resources.js';
import { LARGEST_RELEASE, parseRelease, textOf, type Release } from './release.js';
import { indexKey, upstreamPath } from './routes.js';

/** A pointer document as a mirror has it now. */
function atUpstream(self: DebProxy, root: string, name: string, cached = false): Resource {
  const path = root === '' ? name : `${root}/${name}`;
  const attributes = { root, name, cached };
  return self.placed({ class: 'upstream', key: `upstream/${path}`, path: upstreamPath(path), attributes });
}

interface Taken {
  readonly name: string;
  readonly sha256: string;
  readonly text: string;
}

/**
 * Publishes the generation that the mirrors have now: its pointer documents are verified, and the index files that clients use are
 * here before it counts.
 */
export async function publishGeneration(
  { key, attributes }: Resource,
  context: ProduceContext,
  self: DebProxy,
): Promise<readonly ProducedFile[]> {
  const { root } = attributes as { root: string };
  const earlier = context.kept === undefined ? [] : (await readGenerations(context.kept)).list;
  const [last] = earlier;
  if (last?.date !== undefined) self.newest.set(root, last.date);
  const added = await newGeneration(root, last, context, self);
  const { keepGenerations: keep, leaseFor } = self.options;
  const since = self.clock.now() - leaseFor;
  const list = added === undefined ? earlier : withGeneration(earlier, added, { keep, since });
  const path = join(context.folder, 'generations');
  await writeFile(path, printGenerations(list));
  return [{ key, path, mediaType: 'application/json' }];
}

/** @returns `undefined`: the mirrors have the one that was published last */
async function newGeneration(
  root: string,
  last: Generation | undefined,
  context: ProduceContext,
  self: DebProxy,
): Promise<Generation | undefined> {
  const first = (await take(self, root, 'InRelease', context)) ?? (await take(self, root, 'Release', context));
  if (first === undefined)
    throw new EntrepotError('not-found', `no mirror has InRelease or Release of ${root || 'the repository'}`);
  if (last?.pointers[first.name] === first.sha256) return undefined;
  const release = parseRelease(first.text, first.name);
  const others = await othersOf(root, first, release, context, self);
  const taken = [first, ...others];
  await fetchWanted(root, last, release, context, self);
  for (const { name, sha256 } of taken) await context.read(pointer(root, name, sha256));
  const pointers = Object.fromEntries(taken.map(({ name, sha256 }) => [name, sha256]));
  const id = createHash('sha256').update(JSON.stringify(pointers)).digest('hex').slice(0, 16);
  return { id, at: self.clock.now(), date: release.date, pointers };
}

/** `Release` and `Release.gpg` beside the document that counts, where they are of the same time. */
async function othersOf(
  root: string,
  first: Taken,
  release: Release,
  context: ProduceContext,
  self: DebProxy,
): Promise<readonly Taken[]> {
  const plain = first.name === 'Release' ? first : await take(self, root, 'Release', context).catch(leftOut);
  if (plain === undefined || parseRelease(plain.text, plain.name).date !== release.date) return [];
  const signature = await take(self, root, 'Release.gpg', context).catch(leftOut);
  return [...(plain === first ? [] : [plain]), ...(signature === undefined ? [] : [signature])];
}

/** The index files of the new generation that clients used of the last one. */
async function fetchWanted(
  root: string,
  last: Generation | undefined,
  release: Release,
  context: ProduceContext,
  self: DebProxy,
): Promise<void> {
  if (last === undefined) return;
  const name = last.pointers['InRelease'] === undefined ? 'Release' : 'InRelease';
  const content = await context.read(pointer(root, name, last.pointers[name] as string));
  const before = parseRelease(await bytesOf(content), name);
  const kept = new Set(await context.keys('index/'));
  for (const [path, { sha256 }] of before.files) {
    const file = release.files.get(path);
    if (file === undefined || file.sha256 === sha256 || !kept.has(indexKey(sha256))) continue;
    try {
      await context.read(self.placed(index(root, path, file, release)));
    } catch (error) {
      const age = self.clock.now() - (release.date ?? 0);
      if (error instanceof EntrepotError && error.kind === 'not-found' && age > SETTLED) continue;
      throw malformed(`${root}/${path}`, 'it is not what the Release file says: the mirror is being changed', error);
    }
  }
}

/** The age of a Release file from which on an index that it lists and no mirror has is not waited for; milliseconds. */
const SETTLED = 3_600_000;

async function take(self: DebProxy, root: string, name: string, context: ProduceContext): Promise<Taken | undefined> {
  try {
    const content = await context.read(atUpstream(self, root, name));
    const bytes = await content.bytes(LARGEST_RELEASE);
    return { name, sha256: createHash('sha256').update(bytes).digest('hex'), text: textOf(bytes) };
  } catch (error) {
    if (error instanceof EntrepotError && error.kind === 'not-found') return undefined;
    throw error;
  }
}

async function bytesOf(content: ReadContent): Promise<string> {
  return textOf(await content.bytes(LARGEST_RELEASE));
}

function leftOut(error: unknown): undefined {
  if (error instanceof EntrepotError && error.staleAllowed) return undefined;
  throw error;
}

/** Keeps a pointer document under its sum: the bytes that were verified, whatever mirrors have by now. */
export async function keepPointer(
  { key, attributes }: Resource,
  context: ProduceContext,
  self: DebProxy,
): Promise<readonly ProducedFile[]> {
  const { root, name, sha256 } = attributes as { root: string; name: string; sha256: string };
  const content = await context.read(atUpstream(self, root, name, true));
  const bytes = await content.bytes(LARGEST_RELEASE);
  if (createHash('sha256').update(bytes).digest('hex') !== sha256)
    throw new EntrepotError('not-found', `${name} of ${root} has been replaced`);
  const path = join(context.folder, 'pointer');
  await writeFile(path, bytes);
  return [{ key, path, mediaType: name === 'Release.gpg' ? 'application/pgp-signature' : 'text/plain' }];
}

/** Checks a Release file of a mirror. @throws EntrepotError `upstream-unavailable` for one that is not taken */
export async function verifyPointer(
  { attributes }: Resource,
  content: { bytes(limit: number): Promise<Uint8Array> },
  context: { read(resource: Resource): Promise<ReadContent> },
  self: DebProxy,
): Promise<void> {
  const { root, name } = attributes as { root: string; name: string };
  const text = textOf(await content.bytes(LARGEST_RELEASE));
  if (name === 'Release.gpg') {
    if (!text.startsWith('-----BEGIN PGP SIGNATURE-----')) throw malformed(name, 'it is no armored signature');
    return;
  }
  const release = parseRelease(text, name);
  const now = self.clock.now();
  const newest = self.newest.get(root);
  if (release.validUntil !== undefined && release.validUntil < now)
    throw malformed(name, `it was valid until ${new Date(release.validUntil).toISOString()}`);
  if (release.date !== undefined && release.date > now + FUTURE)
    throw malformed(name, `its date ${new Date(release.date).toISOString()} is in the future`);
  if (!self.options.allowRollback && newest !== undefined && (release.date ?? 0) < newest)
    throw malformed(name, `it is older than the one of ${new Date(newest).toISOString()} that is known`);
  if (!self.signatures.isChecking) return;
  const detached = name === 'Release' ? await signatureOf(self, root, context) : undefined;
  await self.signatures.check(text, name, detached);
}

/** Limit of how far the clock of an archive may be ahead; milliseconds. */
const FUTURE = 600_000;

async function signatureOf(
  self: DebProxy,
  root: string,
  { read }: { read(resource: Resource): Promise<ReadContent> },
): Promise<string | undefined> {
  try {
    return await bytesOf(await read(atUpstream(self, root, 'Release.gpg')));
  } catch (error) {
    if (error instanceof EntrepotError && error.kind === 'not-found') return undefined;
    throw error;
  }
}
