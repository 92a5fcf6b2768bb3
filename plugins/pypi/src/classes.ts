import { type Content, artifactClass, documentClass, type Parsed, type Resource } from '@entrepot/core';
import { deriveMetadata } from './derived-metadata.js';
import { readingError } from './errors.js';
import { readKey } from './keys.js';
import { formOf, PAGE_ACCEPT, PAGE_TYPES } from './negotiation.js';
import { emptyPage } from './page-head.js';
import { parseProject, renderProject, type ProjectDocument } from './project-document.js';
import { checkProjectList, renderProjectList } from './project-list.js';
import { readPage } from './page-rows.js';
import { PAGE_TABLE } from './page-table.js';
import { ProjectPage } from './project-page.js';
import { checkProvenance } from './provenance.js';
import { renderPage } from './representation.js';
import type { PypiProxy } from './routes.js';
import { problemInFile, problemInMetadata, problemInSignature, verifyBy } from './verify.js';

const DAY = 86_400_000;
const FOR_MINUTES = 'public, max-age=600';
/** As the file host of the public index has it. */
const FOR_EVER = 'public, max-age=365000000, immutable';
const TEXT = 'text/plain; charset=utf-8';
const PROVENANCE = 'application/vnd.pypi.integrity.v1+json';

const typeOfPage = (resource: Resource): string => PAGE_TYPES[formOf(resource)];
const PAGE_REPLY = { mediaType: typeOfPage, cacheControl: FOR_MINUTES, vary: ['Accept'] };
const pageOf = ({ coordinates }: Resource, pypi: PypiProxy): Resource | undefined =>
  coordinates && pypi.page(coordinates.name);
const sidecar = { sidecar: true, sidecarOf: ({ key }: Resource) => readKey(key).file };

export const simple = documentClass<PypiProxy, ProjectPage>({
  about: 'Project pages of the Simple API; all their forms derive from one copy.',
  cache: { freshFor: 300_000 },
  upstream: { accept: PAGE_ACCEPT, order: 'origins' },
  reply: { ...PAGE_REPLY, render: renderPage },
  policy: {
    // pip hides the reason of any refusal: what is refused as a whole is a project without files.
    refusal: (resource) => ({
      status: 200,
      headers: { 'Content-Type': typeOfPage(resource), Vary: 'Accept' },
      body: emptyPage(resource.coordinates?.name ?? '', formOf(resource)),
    }),
  },
  parse: parsing(async (content, project, { deriveMetadata }) => {
    const { files, head } = await readPage(content, project);
    return new ProjectPage({ project, deriveMetadata }, files, head);
  }),
  table: PAGE_TABLE,
});

export const index = documentClass<PypiProxy>({
  about: 'The list of all projects.',
  cache: { freshFor: 3_600_000 },
  upstream: { accept: PAGE_ACCEPT },
  reply: {
    ...PAGE_REPLY,
    // The list is that of the upstreams without a scope: what others own is not theirs.
    render: (_checked, request, { ownerOf }) => renderProjectList(request, (name) => ownerOf(name) === undefined),
  },
  parse: checking(checkProjectList),
});

export const project = documentClass<PypiProxy, ProjectDocument>({
  about: 'The legacy JSON of projects and releases.',
  cache: { freshFor: 300_000 },
  upstream: { accept: 'application/json', order: 'origins' },
  reply: { mediaType: 'application/json', cacheControl: FOR_MINUTES, render: renderProject },
  parse: parsing(parseProject),
});

export const provenance = documentClass<PypiProxy>({
  about: 'Provenance objects with the attestations of files.',
  cache: { freshFor: DAY },
  upstream: { accept: PROVENANCE, order: 'origins' },
  reply: { mediaType: PROVENANCE, cacheControl: FOR_MINUTES },
  trust: { describedBy: pageOf },
  policy: { sidecar: true },
  parse: checking(checkProvenance),
});

export const file = artifactClass<PypiProxy>({
  about: 'Wheels, source distributions, and other files of releases.',
  upstream: { order: 'origins' },
  reply: { mediaType: 'application/octet-stream', cacheControl: FOR_EVER },
  trust: { describedBy: pageOf, verify: verifyBy(problemInFile) },
});

export const metadata = artifactClass<PypiProxy>({
  about: 'The metadata of wheels beside them.',
  upstream: {
    order: 'origins',
    produce: { applies: ({ key }) => readKey(key).kind === 'derived', make: deriveMetadata },
  },
  reply: {
    mediaType: TEXT,
    filename: ({ path = '' }) => decodeURIComponent(path.slice(path.lastIndexOf('/') + 1)),
    cacheControl: FOR_EVER,
  },
  trust: { describedBy: pageOf, verify: verifyBy(problemInMetadata) },
  policy: sidecar,
});

export const signature = artifactClass<PypiProxy>({
  about: 'Detached signatures of files.',
  upstream: { order: 'origins' },
  reply: {
    mediaType: ({ key }) => (readKey(key).suffix === '.sig' ? 'application/octet-stream' : TEXT),
    cacheControl: FOR_EVER,
  },
  trust: { describedBy: pageOf, verify: verifyBy(problemInSignature) },
  policy: sidecar,
});

/** Reads a document of a project. @throws EntrepotError `upstream-unavailable`, code `UPSTREAM_MALFORMED`, for a body that is none */
function parsing<Document>(read: (content: Content, project: string, pypi: PypiProxy) => Promise<Document>) {
  return async (content: Content, { key, coordinates }: Resource, _context: unknown, pypi: PypiProxy) => {
    try {
      return await read(content, coordinates?.name ?? '', pypi);
    } catch (error) {
      throw readingError(key, error);
    }
  };
}

/** Checks a document that describes nothing. */
function checking(check: (content: Content) => Promise<void>) {
  return parsing<Parsed>(async (content) => {
    await check(content);
    return { weight: 100 };
  });
}
