import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  changeClass,
  EntrepotError,
  type ChangeClass,
  type Content,
  type HostedContext,
  type Resource,
} from '@entrepot/core';
import { ChartChange, type ReceivedFile } from './change.js';
import { readChart } from './chart-archive.js';
import { refused } from './errors.js';
import { isForm, readForm } from './form.js';
import { attributesOf, policy, type HelmHosted, type HostedAttributes } from './hosted.js';
import { partOf, type Part } from './image.js';
import { KEY } from './keys.js';
import type { HelmOptions } from './options.js';
import { LARGEST_PROVENANCE, readProvenance } from './provenance.js';

const exclusive = (resource: Resource): string => `charts of ${attributesOf(resource).tenant}`;

/** The classes of changes by ChartMuseum's API. */
export const CHANGE_CLASSES = {
  upload: uploadClass(
    'chart',
    'Uploads of an archive, or of a form of archives and provenance files: `/api/charts`.',
    async (content, { mediaType }, { options }) =>
      isForm(mediaType)
        ? await readFiles(mediaType as string, content, options)
        : [await chartIn(content.stream(), await partOfBody(content))],
  ),
  provenanceUpload: uploadClass('provenance', 'Uploads of a provenance file: `/api/prov`.', async (content) => [
    provenanceIn(Buffer.from(await content.bytes(LARGEST_PROVENANCE))),
  ]),
  delete: changeClass<HelmHosted>({
    about: 'Deletions of a version, with its provenance and its image.',
    action: 'delete',
    policy,
    bounds: { of: 'chart', maxBytes: 0, exclusive },
    async make(resource, _content, context, self) {
      const { tenant, name, version } = attributesOf(resource);
      const change = new ChartChange(tenant, context, self);
      await change.remove(name, [version]);
      return { ...change.made, reply: self.reply(200, { deleted: true }) };
    },
  }),
};

function uploadClass(
  of: string,
  about: string,
  read: (content: Content, attributes: HostedAttributes, self: HelmHosted) => Promise<readonly ReceivedFile[]>,
): ChangeClass<HelmHosted> {
  return changeClass<HelmHosted>({
    about,
    action: 'put',
    policy,
    bounds: { of, maxBytes: (_resource, { options }) => options.maxUploadSize, exclusive },
    async make(resource, content, context, self) {
      const attributes = attributesOf(resource);
      const { tenant, force, mediaType } = attributes;
      const { allowOverwrite, forceOverwrite, maxObjects } = self.options;
      const isReplaced = allowOverwrite || (force && forceOverwrite);
      const conflict = `${isForm(mediaType) ? 'chart' : 'file'} already exists`;
      const change = new ChartChange(tenant, context, self);
      try {
        await change.add(await read(content, attributes, self), isReplaced ? undefined : conflict);
      } catch (error) {
        throw refused(error);
      }
      if (maxObjects !== undefined && change.growth > 0) await requireRoom(tenant, maxObjects - change.growth, context);
      return { ...change.made, reply: self.reply(201, { saved: true }) };
    },
  });
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
  { chartField, provField }: HelmOptions,
): Promise<ReceivedFile[]> {
  const files: ReceivedFile[] = [];
  for (const { field, bytes } of await readForm(mediaType, content)) {
    if (field === chartField) files.push(await chartIn(Readable.from([bytes]), partOf(bytes)));
    if (field === provField) files.push(provenanceIn(bytes));
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

function provenanceIn(bytes: Buffer): ReceivedFile {
  return { kind: 'provenance', metadata: readProvenance(bytes), part: partOf(bytes) };
}

async function partOfBody({ size, stream }: Content): Promise<Part> {
  const hash = createHash('sha256');
  for await (const piece of stream()) hash.update(piece);
  return { digest: `sha256:${hash.digest('hex')}`, size };
}
