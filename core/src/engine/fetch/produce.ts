import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, mkdir, realpath, rm } from 'node:fs/promises';
import { sep } from 'node:path';
import type { Digest } from '../../api/digest.js';
import type { Entry } from '../../api/entry-index.js';
import { EntrepotError } from '../../api/errors.js';
import type { ProducedFile } from '../../api/protocol.js';
import type { VerifyContext } from '../../plugin/classes.js';
import { factsOf } from '../policy/facts.js';
import { contentOf } from '../store/content.js';
import type { LocatedDescription } from './described-place.js';
import { HookReads } from './resource-reader.js';
import { tookTooLong, type Stored } from './shared-flight.js';
import type { FetchContext } from './stored-fetch.js';
import { readDocument } from './known-descriptions.js';
import { putBlob } from './publish.js';

/** A produced resource, with its document's description. */
export interface ProducedMember {
  readonly resource: Stored;
  readonly description: LocatedDescription | undefined;
}

/**
 * Has the protocol make the bytes of `members`, all in one go, and keeps them as blobs.
 * @param kept the cached copy of what is made anew
 * @returns an entry for each member, in order; none of them is published yet
 */
export async function produce(
  context: FetchContext,
  members: readonly ProducedMember[],
  signal: AbortSignal,
  kept?: Entry,
): Promise<readonly Entry[]> {
  const { definition, services } = context;
  const [{ resource: first }] = members as [ProducedMember];
  const folder = services.storage.spools.newPath();
  await mkdir(folder, 0o700);
  try {
    const reads = new HookReads(context.reader, first);
    const files = await callProduce(context, reads, first, kept, folder, signal);
    const inside = `${await realpath(folder)}${sep}`;
    return await Promise.all(
      members.map(async (member) => {
        const { key } = member.resource;
        const file = files.find((found) => found.key === key);
        if (file === undefined) {
          throw new EntrepotError('plugin', `produce of plugin ${definition.plugin.id} made nothing for ${key}`);
        }
        await requireFileInside(inside, file.path);
        return await keep(context, reads, member, file);
      }),
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function callProduce(
  { definition, reader, services }: FetchContext,
  reads: HookReads,
  resource: Stored,
  kept: Entry | undefined,
  folder: string,
  stop: AbortSignal,
): Promise<readonly ProducedFile[]> {
  const { limits } = definition;
  const deadline = AbortSignal.timeout(limits.totalTimeout);
  try {
    return await resource.produce({
      folder,
      kept: kept && reader.keptContent(resource, kept),
      keys: async (prefix) => (await services.storage.entries.keys.find(definition.name, prefix)).keys,
      read: (other) => reads.read(other),
      signal: AbortSignal.any([stop, deadline]),
    });
  } catch (error) {
    if (stop.aborted) throw stop.reason;
    if (deadline.aborted) throw tookTooLong(resource, limits.totalTimeout);
    throw error;
  }
}

/** Refuses a path outside of the folder: files of a checkout may be links to anywhere. */
async function requireFileInside(inside: string, path: string): Promise<void> {
  const found = await lstat(path);
  if (found.isFile() && (await realpath(path)).startsWith(inside)) return;
  throw new EntrepotError('plugin', 'produce named something that is not a file in its folder');
}

/** Sums up, verifies and keeps one file. */
async function keep(
  { definition, descriptions, services }: FetchContext,
  reads: HookReads,
  { resource, description }: ProducedMember,
  { path, mediaType, attributes }: ProducedFile,
): Promise<Entry> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const bytes of createReadStream(path) as AsyncIterable<Buffer>) {
    hash.update(bytes);
    size += bytes.length;
  }
  const digest: Digest = `sha256:${hash.digest('hex')}`;
  const content = contentOf(size, mediaType, () => createReadStream(path), path);
  const needs = services.policy.needs();
  const verifying: VerifyContext = { needs, headers: {}, read: (other) => reads.read(other) };
  if (resource.kind === 'artifact') await resource.verify(content, verifying);
  else if (resource.isParsed) {
    const place = { folder: services.storage.tables, digest };
    descriptions.note(resource, digest, await readDocument(resource, content, verifying, place));
  }
  const now = services.clock.now();
  const entry: Entry = {
    repository: definition.name,
    key: resource.key,
    digest,
    size,
    mediaType,
    headers: {},
    lastModified: new Date(now).toUTCString(),
    fetchedAt: now,
    checkedAt: now,
    integrity: [],
    coordinates: description?.coordinates ?? resource.coordinates,
    facts: factsOf(description),
    factsFrom: description?.factsFrom,
    ...(attributes !== undefined && { attributes }),
  };
  await putBlob(services, entry, size === 0 ? { bytes: Buffer.alloc(0), path } : { path });
  return entry;
}
