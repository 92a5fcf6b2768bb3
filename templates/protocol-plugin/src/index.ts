import { defineProtocolPlugin } from '@entrepot/core';
import { renderError } from './errors.js';
import { acmeOptions } from './options.js';
import { describeReleases, rewriteReleases } from './release-index.js';
import { createRouter } from './routes.js';

/** Acme releases: one index for each project, and the files that it names. */
export default defineProtocolPlugin({
  id: 'acme',
  kinds: ['proxy'],
  options: acmeOptions,
  inject: {},
  classes: {
    index: {
      kind: 'document',
      description: 'Release indexes.',
      freshness: { policy: 'revalidate', freshFor: 60_000 },
    },
    release: {
      kind: 'artifact',
      description: 'Files of releases.',
      cacheControl: 'public, max-age=31536000, immutable',
    },
  },
  clientSetup: ({ baseUrl }) => [{ client: 'curl', snippet: `curl --fail ${baseUrl}/<project>/index.json` }],
  create: ({ options }) => ({
    route: createRouter(options),
    describe: describeReleases,
    rewrite: rewriteReleases,
    renderError,
  }),
});
