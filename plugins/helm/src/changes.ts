import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  EntrepotError,
  type Content,
  type HostedChange,
  type HostedContext,
  changeClass,
  type Resource,
} from '@entrepot/core';
import { ChartChange, type ReceivedFile } from './change.js';
import { readChart } from './chart-archive.js';
import { refused } from './errors.js';
import { isForm, readForm } from './form.js';
import { attributesOf, policy, type HelmHosted } from './hosted.js';
import { partOf, type Part } from './image.js';
import { KEY } from './keys.js';
import { LARGEST_PROVENANCE, readProvenance } from './provenance.js';

const exclusive = (resource: Resource): string => `charts of ${attributesOf(resource).tenant}`;
const maxBytes = (_resource: Resource, { options }: HelmHosted): number => options.maxUploadSize;

/** The classes of changes by ChartMuseum's API. */
export const CHANGE_CLASSES = {
  upload: changeClass<HelmHosted>({
    about: 'Uploads of an archive, or of a form of archives and provenance files: `/api/charts`.',
    action: 'put',
    policy,
    bounds: { of: 'chart', maxBytes, exclusive },
    async make(resource, content, context, self) {
      const { mediaType } = attributesOf(resource);
      return isForm(mediaType)
        ? await put('chart', () => readFiles(mediaType as string, content, self), resource, context, self)
        : await put(
            'file',
            async () => [await chartIn(content.stream(), await partOfBody(content))],
            resource,
            context,
            self,
          );
    },
  }),
  provenanceUpload: changeClass<HelmHosted>({
    about: 'Uploads of a provenance file: `/api/prov`.',
    action: 'put',
    policy,
    bounds: { of: 'provenance', maxBytes, exclusive },
    make: async (resource, content, context, self) =>
      await put('file', async () => [await provenanceIn(content)], resource, context, self),
  }),
  delete: changeClass<HelmHosted>({
    about: 'Deletions of a version, with its provenance and its image.',
    action: 'delete',
    policy,
    bounds: { of: 'chart', maxBytes: 0, exclusive },
    async make(resource, _content, context, self) {
      const { tenant, name, version } = attributesOf(resource);
      const change = new ChartChange(tenant, context, { prefix: self.prefix(tenant), now: self.clock.now() });
      await change.remove(name, version);
      return { ...change.made, reply: self.reply(200, { deleted: true }) };
    },
  }),
};

/** Puts files. @param what the word for them in the refusal to replace one */
async function put(
  what: string,
  read: () => Promise<readonly ReceivedFile[]>,
  resource: Resource,
  context: HostedContext,
  self: HelmHosted,
): Promise<HostedChange> {
  const { tenant, force } = attributesOf(resource);
  const { allowOverwrite, forceOverwrite, perChartLimit, maxObjects } = self.options;
  const change = new ChartChange(tenant, context, {
    prefix: self.prefix(tenant),
    conflict: allowOverwrite || (force && forceOverwrite) ? undefined : `${what} already exists`,
    perChartLimit,
    now: self.clock.now(),
  });
  try {
    await change.add(await read());
  } catch (error) {
    throw refused(error);
  }
  if (maxObjects !== undefined && change.growth > 0) await requireRoom(tenant, maxObjects - change.growth, context);
  return { ...change.made, reply: self.reply(201, { saved: true }) };
}

/** @param room for files that are there already */
async function requireRoom(tenant: string, room: number, context: HostedContext): Promise<void> {
  let left = room;
  for (const prefix of [KEY.chart(tenant, ''), KEY.provenances(tenant)]) {
    for await (const _ of context.list(prefix)) {
      left -= 1;
      if (left < 0) break;
    }
  }
  if (left >= 0) return;
  throw new EntrepotError('too-large', 'repo has reached storage limit', { status: 507, code: 'STORAGE_LIMIT' });
}

async function readFiles(
  mediaType: string,
  content: Content,
  { options: { chartField, provField } }: HelmHosted,
): Promise<ReceivedFile[]> {
  const files: ReceivedFile[] = [];
  for (const { field, bytes } of await readForm(mediaType, content)) {
    if (field === chartField) files.push(await chartIn(Readable.from([bytes]), partOf(bytes)));
    if (field === provField) files.push(readProvenanceFile(bytes));
  }
  if (files.length > 0) return files;
  throw new EntrepotError(
    'bad-request',
    `no package or provenance file found in form fields ${chartField} and ${provField}`,
  );
}

async function chartIn(bytes: AsyncIterable<Uint8Array>, part: Part): Promise<ReceivedFile> {
  return { kind: 'chart', metadata: await readChart(bytes), part };
}

async function provenanceIn(content: Content): Promise<ReceivedFile> {
  return readProvenanceFile(Buffer.from(await content.bytes(LARGEST_PROVENANCE)));
}

function readProvenanceFile(bytes: Buffer): ReceivedFile {
  return { kind: 'provenance', metadata: readProvenance(bytes), part: partOf(bytes) };
}

async function partOfBody({ size, stream }: Content): Promise<Part> {
  const hash = createHash('sha256');
  for await (const piece of stream()) hash.update(piece);
  return { digest: `sha256:${hash.digest('hex')}`, size };
}
