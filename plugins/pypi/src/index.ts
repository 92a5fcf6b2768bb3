import { defineProtocolPlugin, type DocumentResource, type RewriteContext, type Content } from '@entrepot/core';
import { malformed } from '@entrepot/core/formats';
import { clientSetup } from './client-setup.js';
import { describe } from './describe.js';
import { deriveMetadata } from './derived-metadata.js';
import { discoverUpstreams } from './discover.js';
import { PageFormatError, renderError } from './errors.js';
import { createLayouts } from './layout.js';
import type { PageForm } from './negotiation.js';
import { pypiOptions } from './options.js';
import { createOwners, projectPattern, type OwnerOf } from './owners.js';
import { rewriteProject } from './project-document.js';
import { rewriteProjectList } from './project-list.js';
import type { ProjectPage } from './project-page.js';
import { createProvenanceUrl } from './provenance.js';
import { rewritePage, type PageSettings } from './representation.js';
import { CLASS, createRouter } from './routes.js';
import { verify } from './verify.js';

const DAY = 86_400_000;
/** What the file host of the public index says of its files. */
const FOR_EVER = 'public, max-age=365000000, immutable';

/** Python package indexes: the Simple API in its forms, files with their sidecars, legacy JSON, provenance. */
export default defineProtocolPlugin({
  id: 'pypi',
  kinds: ['proxy'],
  options: pypiOptions,
  inject: {},
  accessNames: projectPattern,
  classes: {
    [CLASS.simple]: {
      kind: 'document',
      description: 'Project pages of the Simple API; all their forms derive from one copy.',
      freshness: { policy: 'revalidate', freshFor: 300_000 },
      cacheControl: 'public, max-age=600',
    },
    [CLASS.index]: {
      kind: 'document',
      description: 'The list of all projects.',
      freshness: { policy: 'revalidate', freshFor: 3_600_000 },
      cacheControl: 'public, max-age=600',
    },
    [CLASS.project]: {
      kind: 'document',
      description: 'The legacy JSON of projects and releases.',
      freshness: { policy: 'revalidate', freshFor: 300_000 },
      cacheControl: 'public, max-age=600',
    },
    [CLASS.provenance]: {
      kind: 'document',
      description: 'Provenance objects with the attestations of files.',
      freshness: { policy: 'revalidate', freshFor: DAY },
      cacheControl: 'public, max-age=600',
    },
    [CLASS.file]: {
      kind: 'artifact',
      description: 'Wheels, source distributions, and other files of releases.',
      cacheControl: FOR_EVER,
    },
    [CLASS.metadata]: {
      kind: 'artifact',
      description: 'The metadata of wheels beside them.',
      cacheControl: FOR_EVER,
    },
    [CLASS.signature]: {
      kind: 'artifact',
      description: 'Detached signatures of files.',
      cacheControl: FOR_EVER,
    },
  },
  // Links of pages are relative.
  dotSegments: 'redirect',
  discoverUpstreams: (context) => discoverUpstreams(context),
  clientSetup,
  create({ options, repository }) {
    const ownerOf = createOwners(repository, options.owners);
    const layoutOf = createLayouts(repository, options.simplePath);
    const provenanceUrl = createProvenanceUrl(repository.upstreams, layoutOf);
    const settings = { provenanceUrl, deriveMetadata: options.deriveMetadata };
    return {
      route: createRouter({ ownerOf, layoutOf, deriveMetadata: options.deriveMetadata }),
      documentPath: ({ name }) => `/simple/${encodeURIComponent(name)}/`,
      describe: (document, content) => describe(document, content, options.deriveMetadata),
      produce: deriveMetadata,
      verify,
      rewrite: (document, content, context) =>
        guarded(document.key, rewrite(document, content, context, ownerOf, settings)),
      renderError,
    };
  },
});

function rewrite(
  document: DocumentResource,
  content: Content,
  context: RewriteContext,
  ownerOf: OwnerOf,
  settings: PageSettings,
): AsyncGenerator<string, void, undefined> {
  const project = document.coordinates?.name ?? '';
  const form = (document.variant ?? 'text') as PageForm;
  if (document.class === CLASS.project) return rewriteProject(content, project, context);
  // The list is that of the upstreams without a scope: what others own is not theirs.
  if (document.class === CLASS.index)
    return rewriteProjectList(content, form, context, (name) => ownerOf(name) === undefined);
  // What `describe` gave is the page itself.
  return rewritePage(context.descriptions as ProjectPage, form, context, settings);
}

/** Stored documents were checked by `describe`; one that is malformed all the same is not passed on as if it were whole. */
async function* guarded(key: string, pieces: AsyncIterable<string>): AsyncGenerator<string, void, undefined> {
  try {
    yield* pieces;
  } catch (error) {
    if (error instanceof PageFormatError) throw malformed(key, error.message, error);
    throw error;
  }
}
