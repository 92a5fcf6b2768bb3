import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  artifactClass,
  documentClass,
  EntrepotError,
  type ArtifactDescription,
  type Content,
  type FreshnessRule,
  type Parsed,
  type ProduceContext,
  type ProducedFile,
  type RenderedDocument,
  type RenderRequest,
  type Resource,
  type VerifyContext,
} from '@entrepot/core';
import { malformed } from '@entrepot/core/formats';
import { checkFile } from './checks.js';
import { factsOf, needsPom } from './facts.js';
import { coordinatesOf } from './layout.js';
import { mediaTypeOf, TEXT, XML_TYPE } from './media-types.js';
import { mergeSources } from './merge-sources.js';
import { LARGEST_METADATA, printMetadata, readMetadata, withoutVersions, type ParsedMetadata } from './metadata.js';
import { LARGEST_POM } from './pom.js';
import { attributesOf, type MavenProxy } from './proxy.js';
import { LARGEST_SIDECAR, readSidecar, SUM_HEADERS, sumsOf, textOrSum } from './sums.js';

const MINUTE = 60_000;
const FOR_EVER = 'public, max-age=31536000, immutable';
const origins = { order: 'origins' } as const;
const upstream = { ...origins, among: (resource: Resource, self: MavenProxy) => self.holders(resource) };
const reply = {
  mediaType: (resource: Resource) => mediaTypeOf(attributesOf(resource).subject.path),
  sumHeaders: SUM_HEADERS,
} as const;

/** Headers of upstreams that clients of Maven take sums from, too; the strongest first. */
const STATED_SUMS = {
  'x-checksum-sha512': 'sha512',
  'x-checksum-sha256': 'sha256',
  'x-checksum-sha1': 'sha1',
  'x-goog-meta-checksum-sha1': 'sha1',
} as const;

function fileClass(about: string, sidecar = false) {
  return artifactClass<MavenProxy>({
    about,
    cache: { negativeFor: 5 * MINUTE },
    upstream,
    reply: { ...reply, cacheControl: FOR_EVER },
    trust: {
      describedBy: (resource, self) => self.descriptions(resource),
      describedBrieflyBy: (resource, self) => self.promise(resource),
      promisedInHeaders: STATED_SUMS,
      descriptionOptional: true,
      verify: checkFile,
    },
    policy: { sidecar },
  });
}

function changingFile(about: string, freshFor: number) {
  return documentClass<MavenProxy>({
    about,
    cache: { freshFor, busy: 'stale' },
    upstream,
    reply,
    trust: {
      describedBy: (resource, self) => self.descriptions(resource),
      descriptionOptional: true,
      verify: checkFile,
    },
  });
}

function metadataClass(about: string, freshFor: number) {
  return documentClass<MavenProxy, ParsedMetadata>({
    about,
    cache: {
      freshFor,
      busy: 'stale',
      oneCopy: true,
      // Its sum is asked for right after it: that of the copy that the client has, not of a newer one.
      except: ({ variant }) => (variant === undefined ? undefined : { freshFor: Infinity }),
    },
    upstream: {
      ...origins,
      maxBytes: LARGEST_METADATA,
      produce: { applies: (resource, self) => self.isMerged(resource), make: mergeSources },
    },
    reply: { mediaType: ({ variant }) => (variant === undefined ? XML_TYPE : TEXT), render: renderMetadata },
    policy: { undated: true },
    parse: parseMetadata,
  });
}

function sidecarClass(about: string, cache: Partial<FreshnessRule>) {
  return documentClass<MavenProxy>({
    about,
    cache,
    upstream: { produce: { make: makeSidecar } },
    reply: { mediaType: TEXT },
    trust: { describedBy: (resource, self) => self.projects(resource), descriptionOptional: true },
    policy: { sidecar: true },
  });
}

/** The classes of a proxy. */
export const PROXY_CLASSES = {
  release: fileClass('Files of releases.'),
  timestamped: fileClass('Files of builds of snapshots.'),
  signature: fileClass('Signatures of files.', true),
  snapshot: changingFile('Files of snapshots whose name has no timestamp.', MINUTE),
  file: changingFile('All other files, such as catalogues of archetypes.', 5 * MINUTE),
  metadata: metadataClass('Metadata of artifacts and groups: `maven-metadata.xml`.', 5 * MINUTE),
  'snapshot-metadata': metadataClass('Metadata of snapshots.', MINUTE),
  source: documentClass<MavenProxy, ParsedMetadata>({
    about: 'Metadata as one of several upstreams has it, before it is merged.',
    cache: { freshFor: 0 },
    upstream: { ...origins, maxBytes: LARGEST_METADATA },
    parse: parseMetadata,
  }),
  sidecar: sidecarClass('Sums of files that never change, made from the bytes that are here.', {
    policy: 'immutable',
    negativeFor: 5 * MINUTE,
  }),
  'changing-sidecar': sidecarClass('Sums of files that change, made from the bytes that are here.', { freshFor: 0 }),
  checksum: documentClass<MavenProxy>({
    about: 'Sums of files as upstreams have them.',
    cache: {
      freshFor: 30_000,
      busy: 'stale',
      negativeFor: 5 * MINUTE,
      // That of a file that changes has to be of the same moment.
      except: (resource, self) => (self.isChanging(resource) ? { freshFor: 0, negativeFor: 0 } : undefined),
    },
    upstream: { ...upstream, maxBytes: LARGEST_SIDECAR },
    reply: { mediaType: TEXT },
    trust: {
      // For clients alone: what a file is checked against must not wait for what that says of the file.
      describedBy: (resource, self) => (resource.coordinates === undefined ? undefined : self.projects(resource)),
      descriptionOptional: true,
    },
    policy: { sidecar: true },
    parse: parseChecksum,
  }),
  project: documentClass<MavenProxy>({
    about: 'POMs as policy reads them, for dates and licences.',
    cache: { policy: 'immutable', negativeFor: 5 * MINUTE },
    upstream: { ...upstream, maxBytes: LARGEST_POM },
    trust: { verify: checkFile, readFor: ['publishedAt', 'licenses'] },
    async parse(content, resource, context, self): Promise<Parsed> {
      const { path } = attributesOf(resource).subject;
      const facts = needsPom(context.needs) ? await factsOf(content, path, context, (at) => self.parent(at)) : {};
      return { weight: 500, describe: (): ArtifactDescription => ({ integrity: [], ...facts }) };
    },
  }),
  parent: artifactClass<MavenProxy>({
    about: 'POMs of parents as policy reads them, for licences.',
    cache: { negativeFor: 5 * MINUTE },
    upstream: { ...upstream, maxBytes: LARGEST_POM },
    trust: { verify: checkFile },
  }),
};

async function parseMetadata(content: Content, resource: Resource): Promise<ParsedMetadata> {
  const metadata = await readMetadata(content, attributesOf(resource).subject.path);
  return { weight: 4 * content.size, metadata };
}

/** Writes metadata, or one of its sums: as the upstream has it where no version is left out. */
async function renderMetadata(
  { metadata }: ParsedMetadata,
  { admits, content, resource }: RenderRequest,
): Promise<RenderedDocument> {
  const { subject, sum } = attributesOf(resource);
  const { group, artifact } = subject;
  const admitsVersion = (version: string): boolean => {
    const coordinates = coordinatesOf({ group, artifact, version });
    return coordinates === undefined || admits(coordinates);
  };
  if (subject.version !== undefined && !admitsVersion(subject.version))
    return textOrSum(printMetadata({ ...metadata, snapshot: undefined, snapshotVersions: [] }), sum);
  const shown = await withoutVersions(metadata, admitsVersion);
  if (shown !== metadata) return textOrSum(printMetadata(shown), sum);
  return textOrSum(Buffer.from(await content.bytes(LARGEST_METADATA)), sum);
}

async function makeSidecar(
  resource: Resource,
  { folder, read }: ProduceContext,
  self: MavenProxy,
): Promise<readonly ProducedFile[]> {
  const { sum = 'sha1' } = attributesOf(resource);
  const content = await read(self.subject(resource));
  const header = (SUM_HEADERS as Partial<Record<typeof sum, string>>)[sum]?.toLowerCase();
  const known = header === undefined ? undefined : content.headers[header];
  const file = join(folder, 'sum');
  await writeFile(file, known ?? (await sumsOf([sum], content))[sum]);
  return [{ key: resource.key, path: file, mediaType: TEXT }];
}

async function parseChecksum(
  content: Content,
  resource: Resource,
  context: VerifyContext,
  self: MavenProxy,
): Promise<Parsed> {
  const attributes = attributesOf(resource);
  const { subject, sum = 'sha1', isCompared = false } = attributes;
  const hex = await readSidecar(sum, content);
  if (hex === undefined) throw malformed(resource.key, `expected a sum of ${sum}`);
  const project = needsPom(context.needs) && !isCompared ? self.project(attributes) : undefined;
  const facts = project === undefined ? {} : await projectFacts(project, context, self);
  return {
    weight: 500,
    describe: (key): ArtifactDescription => ({
      integrity: key === subject.path ? [{ algorithm: sum, hex }] : [],
      ...facts,
    }),
  };
}

/** Reads the facts of a version whose POM need not exist. */
async function projectFacts(project: Resource, context: VerifyContext, self: MavenProxy) {
  try {
    const content = await context.read(project);
    const about = { ...context, headers: content.headers };
    return await factsOf(content, project.key, about, (at) => self.parent(at));
  } catch (error) {
    if (error instanceof EntrepotError && error.kind === 'not-found') return {};
    throw error;
  }
}
