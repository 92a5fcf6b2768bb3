import {
  artifactClass,
  changeClass,
  EntrepotError,
  listingClass,
  type Content,
  type HostedChange,
  type HostedContext,
  type Resource,
} from '@entrepot/core';
import { checkForm } from './checks.js';
import { hostedMetadata } from './hosted-metadata.js';
import { FILES, fileOf, type FileAttributes, type MavenHosted } from './hosted.js';
import { coordinatesOf, SUM_NAMES, type MavenFile } from './layout.js';
import { mediaTypeOf, TEXT, XML_TYPE } from './media-types.js';
import { printMetadata } from './metadata.js';
import { readPom, type Pom } from './pom.js';
import { attributesOf } from './proxy.js';
import { LARGEST_SIDECAR, readSidecar, SUM_HEADERS, sumsOf, textOrSum } from './sums.js';

/** The classes of a hosted repository. */
export const HOSTED_CLASSES = {
  file: artifactClass<MavenHosted>({
    about: 'Files of a hosted repository.',
    cache: { expireAfter: Infinity },
    reply: { mediaType: (resource) => mediaTypeOf(fileOf(resource).path) },
  }),
  sidecar: listingClass<MavenHosted>({
    about: 'Sums of files of a hosted repository.',
    reply: { mediaType: TEXT },
    entries: (resource) => ({ prefix: FILES + fileOf(resource).path, limit: 1 }),
    async render(resource, entries, { admits }) {
      const { path } = fileOf(resource);
      for await (const { key, attributes, coordinates } of entries) {
        if (key !== FILES + path) break;
        if (coordinates !== undefined && !admits(coordinates)) break;
        return [(attributes as unknown as FileAttributes).sums[attributesOf(resource).sum ?? 'sha1']];
      }
      throw new EntrepotError('not-found', `${path} does not exist`);
    },
  }),
  metadata: listingClass<MavenHosted>({
    about: 'Metadata of a hosted repository, made from the files that are there.',
    reply: { mediaType: ({ variant }) => (variant === undefined ? XML_TYPE : TEXT) },
    entries: (resource) => {
      const { path } = attributesOf(resource).subject;
      return { prefix: FILES + path.slice(0, path.lastIndexOf('/') + 1) };
    },
    async render(resource, entries, { admits }) {
      const { subject, sum } = attributesOf(resource);
      if (subject.kind !== 'metadata') throw new Error('expected metadata');
      return textOrSum(printMetadata(await hostedMetadata(subject, entries, admits)), sum);
    },
  }),
  upload: changeClass<MavenHosted>({
    about: 'Uploads of files.',
    action: 'put',
    bounds: { of: 'file', maxBytes: (_resource, { options }) => options.maxUploadSize },
    make: makeFile,
  }),
  sidecarUpload: changeClass<MavenHosted>({
    about: 'Uploads of sums: they are compared with the files that are here.',
    action: 'put',
    bounds: { of: 'file', maxBytes: LARGEST_SIDECAR },
    make: compareSum,
  }),
  ignored: changeClass<MavenHosted>({
    about: 'Uploads of metadata, which is made here instead.',
    action: 'put',
    bounds: { of: 'file', maxBytes: 8 * 1024 * 1024 },
    make: async () => ({ reply: { status: 201 } }),
  }),
  delete: changeClass<MavenHosted>({
    about: 'Deletions of files.',
    action: 'delete',
    bounds: { of: 'file', maxBytes: 0 },
  }),
};

async function makeFile(
  resource: Resource,
  content: Content,
  { find }: HostedContext,
  self: MavenHosted,
): Promise<HostedChange> {
  const { key } = resource;
  const file = fileOf(resource);
  const sums = await sumsOf(SUM_NAMES, content);
  const kept = await find(key);
  if (kept?.digest === `sha256:${sums.sha256}`) return { reply: { status: 200 } };
  if (kept !== undefined && !self.mayReplace(file))
    throw new EntrepotError('conflict', `${file.path} exists with other bytes: deploy a new version`);
  const plugin = await checkUpload(file, content);
  const attributes: FileAttributes = { sums, ...(plugin !== undefined && { plugin }) };
  const entry = {
    key,
    mediaType: mediaTypeOf(file.path),
    coordinates: coordinatesOf(file),
    attributes: { ...attributes },
    headers: {
      [SUM_HEADERS.sha1.toLowerCase()]: sums.sha1,
      [SUM_HEADERS.sha256.toLowerCase()]: sums.sha256,
    },
  };
  return { replace: [entry], expect: [{ key, digest: kept?.digest }] };
}

/** Checks that a file is what its path says. @returns the plugin that a POM is of */
async function checkUpload(file: MavenFile, content: Content): Promise<FileAttributes['plugin']> {
  try {
    await checkForm(file.path, content);
    if (file.rest !== '.pom') return undefined;
    const pom = await readPom(content, file.path);
    const wrong = wrongName(pom, file);
    if (wrong !== undefined) throw new EntrepotError('bad-request', `${file.path}: ${wrong}`);
    return pluginOf(pom, file.artifact);
  } catch (error) {
    // What an upstream sends is an outage; what a client sends is its mistake.
    if (!(error instanceof EntrepotError) || error.kind !== 'upstream-unavailable') throw error;
    throw new EntrepotError('bad-request', error.message.replace(/^the upstream's answer for /, ''), { cause: error });
  }
}

function wrongName({ groupId, artifactId, version, parent }: Pom, file: MavenFile): string | undefined {
  const stated = { group: groupId ?? parent?.groupId, artifact: artifactId, version: version ?? parent?.version };
  for (const name of ['group', 'artifact', 'version'] as const) {
    const found = stated[name];
    // An expression is known to a build alone.
    if (found === undefined || found.includes('${') || found === file[name]) continue;
    return `the POM is of the ${name} ${JSON.stringify(found.slice(0, 200))}, and was sent as ${file[name]}`;
  }
  return undefined;
}

/** The prefix by which builds name a plugin: that of its name (Maven, "Introduction to Plugin Prefix Resolution"). */
function pluginOf({ packaging, name }: Pom, artifact: string): FileAttributes['plugin'] {
  if (packaging !== 'maven-plugin') return undefined;
  const prefix = artifact === 'maven-plugin-plugin' ? 'plugin' : artifact.replace(/-?maven-?|-?plugin-?/g, '');
  return { name, prefix: prefix || artifact };
}

async function compareSum(resource: Resource, content: Content, { find }: HostedContext): Promise<HostedChange> {
  const { path } = fileOf(resource);
  const { sum = 'sha1' } = attributesOf(resource);
  const stated = await readSidecar(sum, content);
  if (stated === undefined) throw new EntrepotError('bad-request', `${path}.${sum}: expected a sum of ${sum}`);
  const entry = await find(FILES + path);
  if (entry === undefined) throw new EntrepotError('bad-request', `${path}.${sum}: upload ${path} first`);
  const found = (entry.attributes as unknown as FileAttributes).sums[sum];
  if (found === stated) return { reply: { status: 201 } };
  throw new EntrepotError('bad-request', `${path} has the ${sum} ${found}, and ${stated} was sent: upload both again`, {
    code: 'DIGEST_MISMATCH',
  });
}
