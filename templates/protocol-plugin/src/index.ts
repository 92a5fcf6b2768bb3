import { defineProtocolPlugin } from '@entrepot/core';
import { index, release } from './classes.js';
import { renderError } from './errors.js';
import { acmeOptions } from './options.js';
import { createRoute } from './routes.js';

/** Acme releases: one index for each project, and the files that it names. */
export default defineProtocolPlugin({
  id: 'acme',
  options: acmeOptions,
  inject: {},
  clients: {
    setup: ({ baseUrl }) => [
      { client: 'curl', steps: [{ kind: 'command', text: `curl --fail ${baseUrl}/<project>/index.json` }] },
    ],
  },
  proxy: {
    classes: { index, release },
    create: ({ options }) => ({ route: createRoute(options) }),
    renderError,
  },
});
