import { defineProtocolPlugin } from '@entrepot/core';
import { adaptAuditReply, adaptAuditRequest } from './audit.js';
import { clientSetup } from './client-setup.js';
import { discoverUpstreams } from './discover.js';
import { renderError } from './errors.js';
import { npmOptions } from './options.js';
import { describe } from './packument.js';
import { rewritePackument } from './representation.js';
import { createRouter } from './routes.js';

const DAY = 86_400_000;

/** npm registries: packuments, tarballs, search, audit, signatures and attestations. */
export default defineProtocolPlugin({
  id: 'npm',
  kinds: ['proxy'],
  options: npmOptions,
  inject: {},
  accessNames: 'paths',
  classes: {
    packument: {
      kind: 'document',
      description:
        'Packuments, in full and abbreviated, and the version documents and dist-tags that derive from them.',
      freshness: { policy: 'revalidate', freshFor: 300_000 },
      // Without a lifetime npm asks for every packument again on every install.
      cacheControl: 'public, max-age=60',
    },
    tarball: {
      kind: 'artifact',
      description: 'Tarballs of package versions.',
      cacheControl: 'public, max-age=31536000, immutable',
    },
    attestations: {
      kind: 'document',
      description: 'Provenance and publish attestations of versions.',
      freshness: { policy: 'revalidate', freshFor: DAY },
      cacheControl: 'public, max-age=300',
    },
    keys: {
      kind: 'document',
      description: 'The keys with which the upstream signs.',
      freshness: { policy: 'revalidate', freshFor: DAY },
      cacheControl: 'public, max-age=300',
    },
  },
  // A registry that is configured with a slash at its end: corepack asks for `//yarn`.
  dotSegments: 'collapse',
  discoverUpstreams: (context) => discoverUpstreams(context),
  clientSetup,
  create: ({ options, repository }) => ({
    route: createRouter(repository, options),
    documentPath: ({ name }) => `/${encodeURIComponent(name)}`,
    describe: (document, content) => describe(document, content, repository.upstreams),
    rewrite: rewritePackument,
    renderError,
    adaptRequest: (resource, body, context) => adaptAuditRequest(resource, body, repository.upstreams, context),
    adaptReply: adaptAuditReply,
  }),
});
